"""What a person sees of a run: one self-contained HTML page, and a rule in words and as a tree."""

from quantga.report.load import read_run, write_comparison, write_report
from quantga.report.page import render

__all__ = ["read_run", "render", "write_comparison", "write_report"]
