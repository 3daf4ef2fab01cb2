"""Several people's drawings in one pass: the engine, its fibers and how their steps are joined."""
