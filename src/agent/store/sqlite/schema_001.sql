-- Sessions by a small key of ours; AUTOINCREMENT, because the frames of a deleted key may still be waiting to go.
CREATE TABLE sessions (
  key INTEGER PRIMARY KEY AUTOINCREMENT,
  id TEXT NOT NULL UNIQUE,
  epoch INTEGER NOT NULL,
  -- 1 while the id never had another epoch: only then a cursor without an epoch means something.
  only_epoch INTEGER NOT NULL,
  first INTEGER NOT NULL DEFAULT 1,
  head INTEGER NOT NULL DEFAULT 0,
  status INTEGER NOT NULL,
  exit_code INTEGER NOT NULL DEFAULT 0,
  message TEXT NOT NULL DEFAULT '',
  created INTEGER NOT NULL,
  last_seen INTEGER NOT NULL,
  completed INTEGER NOT NULL DEFAULT 0,
  owner INTEGER NOT NULL,
  request_digest TEXT,
  request_canonical TEXT,
  bytes INTEGER NOT NULL DEFAULT 0,
  command TEXT NOT NULL,
  args TEXT NOT NULL,
  requester TEXT NOT NULL,
  cluster TEXT NOT NULL,
  context TEXT NOT NULL,
  namespace TEXT NOT NULL,
  release TEXT NOT NULL,
  chart TEXT NOT NULL,
  principal TEXT NOT NULL,
  workspace TEXT NOT NULL
);
CREATE INDEX sessions_by_last_seen ON sessions (last_seen DESC, id);
CREATE INDEX sessions_by_status ON sessions (status, completed);
CREATE INDEX sessions_by_release ON sessions (release, last_seen DESC);

CREATE TABLE tags (
  session INTEGER NOT NULL,
  key TEXT NOT NULL,
  value TEXT NOT NULL,
  PRIMARY KEY (session, key)
) WITHOUT ROWID;
CREATE INDEX tags_by_value ON tags (key, value, session);

-- `payload` is a ktl.control.v1.Frame with nothing but its payload set.
CREATE TABLE frames (
  session INTEGER NOT NULL,
  seq INTEGER NOT NULL,
  at INTEGER NOT NULL,
  producer TEXT NOT NULL,
  counter INTEGER,
  payload BLOB NOT NULL,
  PRIMARY KEY (session, seq)
) WITHOUT ROWID;

CREATE TABLE producers (
  session INTEGER NOT NULL,
  producer TEXT NOT NULL,
  counter INTEGER NOT NULL,
  PRIMARY KEY (session, producer)
) WITHOUT ROWID;

CREATE TABLE sources (
  session INTEGER NOT NULL,
  path TEXT NOT NULL,
  sha256 TEXT NOT NULL,
  masked TEXT NOT NULL,
  PRIMARY KEY (session, path)
) WITHOUT ROWID;

-- The last epoch of every id that was deleted, so that none is given twice.
CREATE TABLE epochs (id TEXT PRIMARY KEY, epoch INTEGER NOT NULL) WITHOUT ROWID;

-- Keys of deleted sessions whose rows are still being removed, in slices.
CREATE TABLE doomed (session INTEGER PRIMARY KEY);
