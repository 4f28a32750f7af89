-- When a publisher says that its session ended; 0 where it did not say. `completed` is when we heard of it.
ALTER TABLE sessions ADD COLUMN claimed INTEGER NOT NULL DEFAULT 0;
UPDATE sessions SET claimed = completed WHERE owner = 2;
