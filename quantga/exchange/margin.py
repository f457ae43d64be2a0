"""What an account is worth, what its positions and orders bind, and when it is liquidated (documented formulas)."""

from __future__ import annotations

from quantga.exchange.assets import Asset
from quantga.exchange.state import DEFAULT_LEVERAGE, Account, Position, State

TRANSFER_SHARE = 10
"""A withdrawal leaves at least a tenth of the total notional."""


class Margins:
    """Margin of accounts at the present mark prices. All values in millionths of USDC."""

    def __init__(self, state: State, assets: list[Asset]) -> None:
        self._coins = state.coins
        self._assets = assets

    def leverage(self, account: Account, coin: int) -> tuple[int, bool]:
        """Leverage and whether cross: as set, else 20x cross within the asset's limit."""
        found = account.leverage.get(coin)
        if found is None:
            return min(DEFAULT_LEVERAGE, self._assets[coin].max_leverage), True
        return found[0], bool(found[1])

    def notional(self, coin: int, position: Position) -> int:
        """|size| at mark."""
        return abs(position.szi) * self._coins[coin].mark

    def profit(self, coin: int, position: Position) -> int:
        """Unrealised profit at mark."""
        gain = self.notional(coin, position) - position.entry
        return gain if position.szi > 0 else -gain

    def isolated_value(self, coin: int, position: Position) -> int:
        """Collateral plus unrealised profit of an isolated position."""
        return position.raw + position.szi * self._coins[coin].mark

    def cross_value(self, account: Account) -> int:
        """Cross balance plus unrealised profit of the cross positions."""
        value = account.raw
        for coin, position in account.positions.items():
            if position.cross:
                value += position.szi * self._coins[coin].mark
        return value

    def value(self, account: Account) -> int:
        """Account value: cross value and every isolated position's."""
        value = account.raw
        for coin, position in account.positions.items():
            value += position.szi * self._coins[coin].mark + (0 if position.cross else position.raw)
        return value

    def initial(self, coin: int, position: Position) -> int:
        """Initial margin of a position."""
        return self.notional(coin, position) // position.leverage

    def cross_maintenance(self, account: Account) -> int:
        """Sum of the maintenance margins of the cross positions."""
        return sum(self.maintenance(coin, p) for coin, p in account.positions.items() if p.cross)

    def maintenance(self, coin: int, position: Position) -> int:
        """Maintenance margin of one position."""
        return self._assets[coin].maintenance(self.notional(coin, position))

    def order_margin(self, account: Account, coin: int, buys: int = 0, sells: int = 0) -> int:
        """Margin bound by resting orders of a coin, with `buys` and `sells` (notional) added.

        The worse side counts, and only what exceeds the position: an assumption, the venue does not publish its own.
        """
        resting = account.resting.get(coin)
        if resting is not None:
            buys, sells = buys + resting.buys, sells + resting.sells
        position = account.positions.get(coin)
        held = position.szi * self._coins[coin].mark if position else 0
        extra = max(abs(held + buys), abs(held - sells)) - abs(held)
        leverage = position.leverage if position else self.leverage(account, coin)[0]
        return max(0, extra) // leverage

    def bound(self, account: Account) -> int:
        """Initial margin of the cross positions and of all resting orders."""
        used = sum(self.initial(coin, p) for coin, p in account.positions.items() if p.cross)
        return used + sum(self.order_margin(account, coin) for coin in account.resting)

    def free(self, account: Account) -> int:
        """What new positions and orders may bind; negative after a loss."""
        return self.cross_value(account) - self.bound(account)

    def withdrawable(self, account: Account) -> int:
        """What may leave the account: at least the initial margin and a tenth of the notional stay."""
        total = sum(self.notional(coin, p) for coin, p in account.positions.items() if p.cross)
        return max(0, self.cross_value(account) - max(self.bound(account), total // TRANSFER_SHARE))

    def liquidation_px(self, account: Account, coin: int, position: Position) -> float | None:
        """The price at which it is liquidated: price - side * available / size / (1 - l * side), l = 1 / maintenance leverage; in price units of the asset.

        None where no positive price liquidates.
        """
        if position.cross:
            available = self.cross_value(account) - self.cross_maintenance(account)
        else:
            available = self.isolated_value(coin, position) - self.maintenance(coin, position)
        asset = self._assets[coin]
        side = 1 if position.szi > 0 else -1
        rate = 1 / (2 * asset.tier(self.notional(coin, position)).max_leverage)
        price = self._coins[coin].mark - side * available / abs(position.szi) / (1 - rate * side)
        return price if price > 0 else None
