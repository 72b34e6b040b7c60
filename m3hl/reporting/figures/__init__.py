"""Figures: inline SVG whose colours follow the page, light or dark."""
