"""The proofs that every feature passes: no look-ahead, one value everywhere, declared memory."""
