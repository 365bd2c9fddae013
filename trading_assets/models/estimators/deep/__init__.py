"""Networks: trained where their extra is installed, asked by NumPy."""
