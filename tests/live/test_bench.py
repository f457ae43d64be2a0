"""The feed's bench measures what it says: every frame is taken and recorded, every bar closed."""

from quantga.live.bench import COINS, measure


def test_a_short_measurement_holds_all_frames_and_bars():
    found = measure(minutes=4)
    assert found["frames"] == found["recorded"]["frames"] > 10_000
    assert found["bars"]["stream"] >= 2 * len(COINS)
    assert found["frames_per_cpu_second"] > 0
