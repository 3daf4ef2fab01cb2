"""What whoever operates Atelier sees of it from outside: health, metrics, the service manager's notices."""
