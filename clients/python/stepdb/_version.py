VERSION = "0.2.0.dev0"
CLIENT = f"stepdb-python {VERSION}"
