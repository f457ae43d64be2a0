"""What a program is worth: costs, ledger, metrics, appraisal. Pure functions of bars and programs."""
