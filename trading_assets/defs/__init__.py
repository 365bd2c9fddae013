"""Dagster's side of the house: one module per stage, in pipeline order; the work itself lies one floor down."""

import warnings

import dagster as dg

# partition mappings and backfill policies are beta in Dagster 1.13; pinned and covered by tests
warnings.filterwarnings("ignore", category=dg.BetaWarning)
