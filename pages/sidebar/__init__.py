"""The controls of the sidebar, and the address that says where they stand."""
