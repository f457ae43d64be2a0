"""Answers about an account as records: margin, orders, fills, fundings, budget, fees, agents; 2023's shapes and 2026's."""

from __future__ import annotations

from decimal import Decimal

from quantga.venue.account import (
    AccountState,
    AddressBudget,
    Agent,
    Fees,
    Fill,
    FundingPayment,
    LedgerEntry,
    Liquidation,
    Order,
    OrderReport,
    Position,
    Role,
)
from quantga.venue.hyperliquid.reading import (
    Json,
    bought,
    exact,
    frozen,
    lowered,
    reader,
    record,
    rows,
    text,
    whole,
)

NO_FEE = Decimal("NaN")


@reader("account state (clearinghouseState)")
def state(answer: Json) -> AccountState:
    """Return margin and positions."""
    summary, cross = answer["marginSummary"], answer["crossMarginSummary"]
    maintenance = answer.get("crossMaintenanceMarginUsed")
    return AccountState(
        time=whole(answer.get("time", 0)),
        value=exact(summary["accountValue"]),
        margin_used=exact(summary["totalMarginUsed"]),
        notional=exact(summary["totalNtlPos"]),
        cross_value=exact(cross["accountValue"]),
        maintenance=None if maintenance is None else exact(maintenance),
        withdrawable=exact(
            (answer if "withdrawable" in answer else cross)["withdrawable"]
        ),  # early in 2023 it was there
        positions=tuple(_position(row["position"]) for row in rows(answer["assetPositions"])),
    )


def _position(row: Json) -> Position:
    liquidation, entry = row["liquidationPx"], row["entryPx"]
    kind = row["leverage"]["type"]
    if kind not in ("cross", "isolated"):
        raise ValueError(f"the margin mode {kind!r} is not known")
    return Position(
        coin=text(row["coin"]),
        size=exact(row["szi"]),
        entry=exact("0" if entry is None else entry),
        value=exact(row["positionValue"]),
        unrealized=exact(row["unrealizedPnl"]),
        liquidation=None if liquidation is None else exact(liquidation),
        margin_used=exact(row["marginUsed"]),
        leverage=whole(row["leverage"]["value"]),
        isolated=kind == "isolated",
    )


@reader("open orders (openOrders)")
def orders(answer: Json) -> tuple[Order, ...]:
    """Return orders as `openOrders` or `frontendOpenOrders` lists them."""
    return tuple(order(row) for row in rows(answer))


def order(row: Json) -> Order:
    """Return one order."""
    original, waits = row.get("origSz"), bool(row.get("isTrigger", False))
    return Order(
        coin=text(row["coin"]),
        oid=whole(row["oid"]),
        cloid=lowered(row.get("cloid")),
        buy=bought(row["side"]),
        px=exact(row["limitPx"]),
        size=exact(row["sz"]),
        original=None if original is None else exact(original),
        time=whole(row["timestamp"]),
        reduce_only=bool(row.get("reduceOnly", False)),
        trigger=exact(row["triggerPx"]) if waits else None,
        condition=text(row.get("triggerCondition", "")),
        kind=text(row.get("orderType", "")),
        tif=row.get("tif"),
        position_tpsl=bool(row.get("isPositionTpsl", False)),
        children=tuple(order(child) for child in row.get("children", ())),
    )


@reader("order (orderStatus)")
def order_status(answer: Json) -> OrderReport:
    """Return what became of an order; one that the venue does not know has no `order`."""
    if answer["status"] == "order":
        return report(answer["order"])
    if answer["status"] == "unknownOid":
        return OrderReport("unknownOid", 0, None)
    raise ValueError(f"the status {answer['status']!r} is not known")


def report(row: Json) -> OrderReport:
    """Return one row of `orderStatus`, `historicalOrders` or `orderUpdates`."""
    return OrderReport(text(row["status"]), whole(row["statusTimestamp"]), order(row["order"]))


@reader("past orders (historicalOrders)")
def reports(answer: Json) -> tuple[OrderReport, ...]:
    """Return past orders in the order given, the newest first."""
    return tuple(report(row) for row in rows(answer))


@reader("fills (userFills)")
def fills(answer: Json) -> tuple[Fill, ...]:
    """Return fills, ascending by time, each once (see `Fill.key`)."""
    return unique(fill(row) for row in rows(answer))


@reader("slices of TWAP orders (userTwapSliceFills)")
def slice_fills(answer: Json) -> tuple[Fill, ...]:
    """Return the fills of TWAP orders, ascending by time."""
    return unique(fill(row["fill"]) for row in rows(answer))


def unique(found: Json) -> tuple[Fill, ...]:
    """Return fills ascending by time, each once."""
    return tuple(sorted({one.key: one for one in found}.values(), key=lambda one: one.time))


def fill(row: Json) -> Fill:
    """Return one fill."""
    liquidation, tid = row.get("liquidation"), row.get("tid")
    return Fill(
        coin=text(row["coin"]),
        time=whole(row["time"]),
        tid=None if tid is None else whole(tid),
        oid=whole(row["oid"]),
        cloid=lowered(row.get("cloid")),
        buy=bought(row["side"]),
        px=exact(row["px"]),
        size=exact(row["sz"]),
        start=exact(row["startPosition"]),
        direction=text(row["dir"]),
        closed_pnl=exact(row["closedPnl"]),
        fee=exact(row["fee"]) if "fee" in row or "tid" in row else NO_FEE,
        fee_token=text(row.get("feeToken", "USDC")),
        crossed=bool(row["crossed"]),
        hash=text(row["hash"]),
        liquidation=None if liquidation is None else _liquidation(liquidation),
    )


def _liquidation(row: Json) -> Liquidation:
    return Liquidation(text(row["liquidatedUser"]).lower(), exact(row["markPx"]), text(row["method"]))


@reader("fundings paid (userFunding)")
def payments(answer: Json) -> tuple[FundingPayment, ...]:
    """Return fundings paid and received, ascending."""
    found = [payment(row["time"], row["delta"], row.get("hash", "")) for row in rows(answer)]
    return tuple(sorted(found, key=lambda one: one.time))


def payment(time: Json, row: Json, mark: str = "") -> FundingPayment:
    """Return one funding that was paid."""
    return FundingPayment(
        text(row["coin"]), whole(time), exact(row["usdc"]), exact(row["szi"]), exact(row["fundingRate"]), mark
    )


@reader("ledger (userNonFundingLedgerUpdates)")
def ledger(answer: Json) -> tuple[LedgerEntry, ...]:
    """Return deposits, withdrawals and transfers, ascending; kinds that are new are kept with their fields."""
    return tuple(sorted((_entry(row) for row in rows(answer)), key=lambda one: one.time))


def _entry(row: Json) -> LedgerEntry:
    delta = dict(record(row["delta"]))
    kind = text(delta.pop("type")) if "type" in delta else "+".join(sorted(delta))
    usdc = delta.get("usdc")
    fields = tuple((key, frozen(value)) for key, value in sorted(delta.items()))
    return LedgerEntry(whole(row["time"]), kind, text(row["hash"]), None if usdc is None else exact(usdc), fields)


@reader("address budget (userRateLimit)")
def address_budget(answer: Json) -> AddressBudget:
    """Return the actions used and granted."""
    return AddressBudget(exact(answer["cumVlm"]), whole(answer["nRequestsUsed"]), whole(answer["nRequestsCap"]))


@reader("fees (userFees)")
def fees(answer: Json) -> Fees:
    """Return the rates that the account pays."""
    return Fees(exact(answer["userCrossRate"]), exact(answer["userAddRate"]))


@reader("role (userRole)")
def role(answer: Json) -> Role:
    """Return what an address is, and for an agent or a sub-account whose."""
    data = answer.get("data") or {}
    return Role(text(answer["role"]), text(data.get("user", data.get("master", ""))).lower())


@reader("agents (extraAgents)")
def agents(answer: Json) -> tuple[Agent, ...]:
    """Return the named agents."""
    return tuple(
        Agent(text(row["name"]), text(row["address"]).lower(), whole(row.get("validUntil") or 0))
        for row in rows(answer)
    )


@reader("account mode (userAbstraction)")
def abstraction(answer: Json) -> str:
    """Return the account's mode."""
    return text(answer)
