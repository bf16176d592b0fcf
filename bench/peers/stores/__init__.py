"""The stores that are compared, one module for each kind; catalog() lists them."""
