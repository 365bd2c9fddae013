"""What trading costs beside the price: funding payments, the venue's fees, and what an order at the market slips."""
