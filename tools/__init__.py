"""What maintainers run: execute and refresh the notebooks, write pages, build the site."""
