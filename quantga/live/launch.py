"""The one door to a market: which network, at which address, with which limits; real money needs a second act."""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal
from urllib.parse import urlsplit

from quantga.errors import ConfigError
from quantga.live.beginning import Wanted
from quantga.live.risk import Bound, Limits
from quantga.venue.hyperliquid.rest import URLS
from quantga.venue.hyperliquid.weights import INTERVALS
from quantga.venue.protocol import Network

__all__ = ["Money", "address_of", "guarded", "phrase", "sentences"]

_HERE = {"127.0.0.1", "localhost", "::1"}


@dataclass(frozen=True)
class Money:
    """How much may be risked: cap of the capital, canary: at most so much in one symbol (USDC; 0: not given)."""

    cap: Decimal = Decimal(0)
    canary: Decimal = Decimal(0)


def address_of(network: Network, url: str) -> str:
    """Return the venue's address. ConfigError for a paper address that is not this machine's, or any other given one."""
    if not url:
        return URLS[network]
    if network is not Network.PAPER:
        raise ConfigError(f"--url belongs to --paper: {network} is where it is")
    if urlsplit(url).hostname not in _HERE:
        raise ConfigError(
            f"--url {url} is not on this machine: paper trading speaks with a local `quantga exchange` alone"
        )
    return url.rstrip("/")


def phrase(money: Money) -> str:
    """Return what has to be typed before real money is traded."""
    return f"trade {money.cap} USDC of real money"


def guarded(wanted: Wanted, money: Money, typed: str) -> Wanted:
    """Return what may be traded; on the mainnet only with a cap, a canary size and the phrase that names the cap.

    Raises:
        ConfigError: one of them is missing; says what to give.
    """
    if wanted.network is not Network.MAINNET:
        return _sized(wanted, money)
    if money.cap <= 0 or money.canary <= 0:
        raise ConfigError("--mainnet is real money: give --cap USDC (of the account) and --canary USDC (in one symbol)")
    if typed != phrase(money):
        raise ConfigError(f"--mainnet is real money: repeat with --i-understand {phrase(money)!r} if you want that")
    return _sized(wanted, money)


def _sized(wanted: Wanted, money: Money) -> Wanted:
    limits: Limits = wanted.limits
    if money.canary > 0:
        limits = replace(limits, notional=Bound(float(money.canary), 1.5 * float(money.canary)))
    return replace(wanted, cap=money.cap, limits=limits)


def sentences(wanted: Wanted) -> list[str]:
    """Return what the trader will do, for a person to read before it does."""
    name = next(name for name, length in INTERVALS.items() if length == wanted.interval)
    limits = wanted.limits
    cap = f"at most {wanted.cap} USDC of the account" if wanted.cap else "all of the account"
    return [
        f"{wanted.network} at {wanted.url}: {len(wanted.strategies)} strategies on {', '.join(wanted.symbols)}, {name} bars",
        *(f"  {one.name}: {one.text}" for one in wanted.strategies),
        f"capital: {cap}; in one symbol at most {limits.notional.soft:g} USDC, leverage at most {limits.leverage.soft:g}",
        f"flattened and halted at a loss of {limits.daily_loss.hard:.0%} in a day or {limits.drawdown.hard:.0%} from the peak",
        f"each position has a stop at the venue, {wanted.execution.stop:.0%} from the mark",
    ]
