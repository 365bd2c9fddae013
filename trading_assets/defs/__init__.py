"""Dagster's side of the house: a room per stage, each made for given settings; the work itself lies one floor down."""

import warnings

import dagster as dg

# partition mappings and backfill policies are beta in Dagster 1.13; pinned and covered by tests
warnings.filterwarnings("ignore", category=dg.BetaWarning)
