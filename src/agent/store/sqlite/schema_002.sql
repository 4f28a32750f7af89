-- The newest producer that took a name; 0 while nobody shut others out.
ALTER TABLE producers ADD COLUMN epoch INTEGER NOT NULL DEFAULT 0;

ALTER TABLE sessions ADD COLUMN agent TEXT NOT NULL DEFAULT '';
ALTER TABLE sessions ADD COLUMN repo_remote TEXT NOT NULL DEFAULT '';
ALTER TABLE sessions ADD COLUMN repo_commit TEXT NOT NULL DEFAULT '';
ALTER TABLE sessions ADD COLUMN repo_branch TEXT NOT NULL DEFAULT '';
ALTER TABLE sessions ADD COLUMN repo_dirty INTEGER NOT NULL DEFAULT 0;
ALTER TABLE sessions ADD COLUMN versions TEXT NOT NULL DEFAULT '{}';
-- 0 while nothing holds the session.
ALTER TABLE sessions ADD COLUMN pin_at INTEGER NOT NULL DEFAULT 0;
ALTER TABLE sessions ADD COLUMN pin_until INTEGER NOT NULL DEFAULT 0;
ALTER TABLE sessions ADD COLUMN pin_reason TEXT NOT NULL DEFAULT '';
ALTER TABLE sessions ADD COLUMN pin_principal TEXT NOT NULL DEFAULT '';
-- What of the session cannot be read any more.
ALTER TABLE sessions ADD COLUMN damage TEXT NOT NULL DEFAULT '';

-- Every index that a list uses is in the order of lists, so that a page ends when it is full. A tag carries the time of
-- its session for the same reason.
ALTER TABLE tags ADD COLUMN last_seen INTEGER NOT NULL DEFAULT 0;
UPDATE tags SET last_seen = (SELECT sessions.last_seen FROM sessions WHERE sessions.key = tags.session);
DROP INDEX tags_by_value;
CREATE INDEX tags_by_value ON tags (key, value, last_seen DESC);
DROP INDEX sessions_by_status;
CREATE INDEX sessions_by_status ON sessions (status, last_seen DESC);
CREATE INDEX sessions_by_namespace ON sessions (namespace, last_seen DESC);
CREATE INDEX sessions_by_workspace ON sessions (workspace, last_seen DESC);
CREATE INDEX sessions_pinned ON sessions (last_seen DESC) WHERE pin_at > 0;
-- What retention takes, in its order.
CREATE INDEX sessions_finished ON sessions (completed, key) WHERE status <> 1;

-- One row for every session that was deleted.
CREATE TABLE audit (
  number INTEGER PRIMARY KEY AUTOINCREMENT,
  at INTEGER NOT NULL,
  session TEXT NOT NULL,
  epoch INTEGER NOT NULL,
  head INTEGER NOT NULL,
  status INTEGER NOT NULL,
  principal TEXT NOT NULL,
  why TEXT NOT NULL
);
