"""Controllers of the network: who answers behind a Service. Walk step 6."""
