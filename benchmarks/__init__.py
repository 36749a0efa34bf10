"""What `make bench` measures, and the report that it writes."""
