"""A journal as a trader writes it: a position with its stop, an order whose outcome is unknown, one refused, a halt."""

from __future__ import annotations

from decimal import Decimal

from quantga.live.journal import Journal
from quantga.live.orders import Fact, Intent, Phase, Purpose, cloid_of
from quantga.live.session import Asked, Began, Equity, Halt, event_of
from quantga.venue.account import Fill, OrderRequest, Stamp

SESSION = "0001-abcd1234"
ACCOUNT = "0x" + "a" * 40
START = 1_795_000_000_000
D = Decimal


def trade(path):
    """Write the journal."""
    with Journal(path) as journal:

        def say(after, *events):
            journal.append(START + after, *(event_of(event) for event in events))

        def ask(after, coin, buy, price, size, purpose, bar, parts):  # noqa: PLR0917
            cloid = cloid_of(ACCOUNT, SESSION, coin, bar, purpose, 0)
            tif = "Gtc" if purpose is Purpose.STOP else "Ioc"
            request = OrderRequest(coin, buy, D(price), D(size), tif, purpose is not Purpose.TARGET, None, cloid)
            stamp = Stamp(START + after, START + after + 5000)
            say(after, Asked(Intent(bar, purpose, 0, request, stamp), parts, D(price)))
            return cloid

        lots = {"BTC": D("0.00001"), "ETH": D("0.0001")}
        say(0, Began(ACCOUNT, SESSION, {"one": D(6000), "two": D(4000)}, lots, {}, D(10_000)))
        bought = ask(1000, "BTC", True, "60010", "0.05", Purpose.TARGET, 1, {"one": 3000, "two": 2000})
        fill = Fill(
            "BTC", START + 1100, 1, 11, bought, True, D("60003"), D("0.05"), D(0), "Open Long", D(0), D("1.35"), "USDC", True, "0x1"
        )  # fmt: skip
        say(1200, fill, Fact(bought, Phase.FILLED, 11))
        stop = ask(1500, "BTC", False, "57000", "0.05", Purpose.STOP, 1, {})
        say(1600, Fact(stop, Phase.RESTING, 12))
        lost = ask(60_000, "ETH", False, "3000", "1.2", Purpose.TARGET, 2, {"two": -12_000})
        say(65_000, Fact(lost, Phase.UNKNOWN, 0, "no answer in 5 s"))
        refused = ask(70_000, "ETH", True, "3010", "0.2", Purpose.TARGET, 3, {"one": 2000})
        say(70_100, Fact(refused, Phase.REJECTED, 0, "Insufficient margin"))
        say(80_000, Equity(D(9870)), Halt("ETH", "a position that fills do not explain"))
