"""Pictures that people bring and take: intake, the confined picture process and masks."""
