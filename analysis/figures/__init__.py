"""Draw what the compute files found: frozen values in, plotly figures out; nothing is computed here."""
