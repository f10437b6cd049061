"""Where the catalog meets AWS: tables, objects, queues, identity.  AWS errors end here."""
