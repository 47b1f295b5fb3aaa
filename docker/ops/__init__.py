"""The host side: what each verb of ./stack does."""
