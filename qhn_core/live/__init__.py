"""What a browser is sent while a run trains."""
