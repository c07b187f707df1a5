"""Report contents to self-contained pages: HTML, SVG, PDF."""
