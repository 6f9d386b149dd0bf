"""A cluster in simulated time: the real store, API, scheduler and controllers, with invented nodes."""
