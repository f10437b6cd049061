"""Where the catalog meets AWS: tables, objects, queues, identity.  AWS errors end here."""

# First of all: whichever adapter comes first would otherwise import the SDK, and not as `sdk` does.
from catalog.adapters import sdk as sdk
