"""Binance USD-M futures: how its signed resources and user streams write what the account is asked and told."""
