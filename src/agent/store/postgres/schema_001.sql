-- Text is compared byte by byte, as on every other store and whatever the locale of the database.
CREATE TABLE agents (
  -- Given once and never again: the larger one came later. What an agent writes carries it.
  token BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  -- The agent over all its starts: one data folder is one name.
  name TEXT COLLATE "C" NOT NULL,
  -- The last group of writes that was committed under this token.
  flush BIGINT NOT NULL DEFAULT 0,
  lease_until TIMESTAMPTZ NOT NULL,
  -- Nothing is written under this token any more.
  ended BOOLEAN NOT NULL DEFAULT FALSE
);

CREATE TABLE sessions (
  key BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  id TEXT COLLATE "C" NOT NULL UNIQUE,
  epoch BIGINT NOT NULL,
  -- True while the id never had another epoch: only then a cursor without an epoch means something.
  only_epoch BOOLEAN NOT NULL,
  first BIGINT NOT NULL DEFAULT 1,
  head BIGINT NOT NULL DEFAULT 0,
  status SMALLINT NOT NULL DEFAULT 1,
  exit_code INTEGER NOT NULL DEFAULT 0,
  message TEXT COLLATE "C" NOT NULL DEFAULT '',
  created BIGINT NOT NULL,
  last_seen BIGINT NOT NULL,
  completed BIGINT NOT NULL DEFAULT 0,
  claimed BIGINT NOT NULL DEFAULT 0,
  owner SMALLINT NOT NULL,
  -- The token of the agent that writes it.
  holder BIGINT NOT NULL,
  -- The transaction that last changed it, and the token behind that: how other agents find what has moved.
  moved BIGINT NOT NULL,
  mover BIGINT NOT NULL,
  request_digest TEXT COLLATE "C",
  request_canonical TEXT COLLATE "C",
  bytes BIGINT NOT NULL DEFAULT 0,
  command TEXT COLLATE "C" NOT NULL DEFAULT '',
  args TEXT COLLATE "C" NOT NULL DEFAULT '[]',
  requester TEXT COLLATE "C" NOT NULL DEFAULT '',
  cluster TEXT COLLATE "C" NOT NULL DEFAULT '',
  context TEXT COLLATE "C" NOT NULL DEFAULT '',
  namespace TEXT COLLATE "C" NOT NULL DEFAULT '',
  release TEXT COLLATE "C" NOT NULL DEFAULT '',
  chart TEXT COLLATE "C" NOT NULL DEFAULT '',
  principal TEXT COLLATE "C" NOT NULL DEFAULT '',
  workspace TEXT COLLATE "C" NOT NULL DEFAULT '',
  agent TEXT COLLATE "C" NOT NULL DEFAULT '',
  repo_remote TEXT COLLATE "C" NOT NULL DEFAULT '',
  repo_commit TEXT COLLATE "C" NOT NULL DEFAULT '',
  repo_branch TEXT COLLATE "C" NOT NULL DEFAULT '',
  repo_dirty BOOLEAN NOT NULL DEFAULT FALSE,
  versions TEXT COLLATE "C" NOT NULL DEFAULT '{}',
  -- 0 while nothing holds the session.
  pin_at BIGINT NOT NULL DEFAULT 0,
  pin_until BIGINT NOT NULL DEFAULT 0,
  pin_reason TEXT COLLATE "C" NOT NULL DEFAULT '',
  pin_principal TEXT COLLATE "C" NOT NULL DEFAULT '',
  -- What of the session cannot be read any more.
  damage TEXT COLLATE "C" NOT NULL DEFAULT ''
);
-- Every index that a list uses is in the order of lists, so that a page ends when it is full.
CREATE INDEX sessions_by_last_seen ON sessions (last_seen DESC, id);
CREATE INDEX sessions_by_status ON sessions (status, last_seen DESC, id);
CREATE INDEX sessions_by_release ON sessions (release, last_seen DESC, id);
CREATE INDEX sessions_by_namespace ON sessions (namespace, last_seen DESC, id);
CREATE INDEX sessions_by_workspace ON sessions (workspace, last_seen DESC, id);
CREATE INDEX sessions_pinned ON sessions (last_seen DESC, id) WHERE pin_at > 0;
-- What retention takes, in its order.
CREATE INDEX sessions_finished ON sessions (completed, key) WHERE status <> 1;
CREATE INDEX sessions_by_move ON sessions (moved);

-- A tag carries the time of its session, so that a list by tag is in the order of lists.
CREATE TABLE tags (
  session BIGINT NOT NULL,
  key TEXT COLLATE "C" NOT NULL,
  value TEXT COLLATE "C" NOT NULL,
  last_seen BIGINT NOT NULL,
  PRIMARY KEY (session, key)
);
-- By a hash: a value may be longer than what an index takes.
CREATE INDEX tags_by_value ON tags (key, hashtextextended(value, 0), last_seen DESC);

-- `payload` is a ktl.control.v1.Frame with nothing but its payload set.
CREATE TABLE frames (
  session BIGINT NOT NULL,
  seq BIGINT NOT NULL,
  at BIGINT NOT NULL,
  producer TEXT COLLATE "C" NOT NULL,
  counter BIGINT,
  payload BYTEA NOT NULL,
  PRIMARY KEY (session, seq)
);

-- The last number of each producer, and the newest that took the name; 0 while nobody shut others out.
CREATE TABLE producers (
  session BIGINT NOT NULL,
  producer TEXT COLLATE "C" NOT NULL,
  counter BIGINT NOT NULL,
  epoch BIGINT NOT NULL,
  PRIMARY KEY (session, producer)
);

CREATE TABLE sources (
  session BIGINT NOT NULL,
  path TEXT COLLATE "C" NOT NULL,
  sha256 TEXT COLLATE "C" NOT NULL,
  -- Text that may hold what PostgreSQL's text may not.
  masked BYTEA NOT NULL,
  PRIMARY KEY (session, path)
);

-- The last epoch of every id that was deleted, so that none is given twice.
CREATE TABLE epochs (id TEXT COLLATE "C" PRIMARY KEY, epoch BIGINT NOT NULL);

-- Keys of deleted sessions whose rows are still being removed, in slices.
CREATE TABLE doomed (session BIGINT PRIMARY KEY);

-- One row for every session that was deleted.
CREATE TABLE audit (
  number BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  at BIGINT NOT NULL,
  session TEXT COLLATE "C" NOT NULL,
  epoch BIGINT NOT NULL,
  head BIGINT NOT NULL,
  status SMALLINT NOT NULL,
  principal TEXT COLLATE "C" NOT NULL,
  why TEXT COLLATE "C" NOT NULL,
  moved BIGINT NOT NULL,
  mover BIGINT NOT NULL
);
CREATE INDEX audit_by_move ON audit (moved);
