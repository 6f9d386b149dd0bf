"""Admission: what a request may do to an object beyond the rules of its kind (step 1 of the walk).

One module per plugin. `chain` says what a plugin is and runs them; `plugins` lists them in the order
in which they run. A plugin that changes objects runs before validation, one that only refuses runs
after it, so that it sees the object as it would be stored.
"""
