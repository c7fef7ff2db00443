"""What the admin API does: endpoints as functions, their types, who may call which."""
