"""Hyperliquid: its answers as records, its rules for prices and sizes, its actions signed, its requests sent."""
