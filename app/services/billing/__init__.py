"""Credits and plans, the ledger behind them, and Stripe."""
