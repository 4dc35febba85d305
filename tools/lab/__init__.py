"""Everything around certherd that a demo or a system test needs, started for real on loopback:
Pebble and its DNS server, an upstream web server, nginx with the module, certherd itself.

Standard library only.  Every process is stopped by its own id, and dies with its parent.
"""
