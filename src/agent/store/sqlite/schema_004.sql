-- Checks a frame, so that a bit that flipped on the disk is noticed. Frames of earlier formats have none.
ALTER TABLE frames ADD COLUMN sum INTEGER;

-- The last frame that is in a block; those after it are rows.
ALTER TABLE sessions ADD COLUMN packed INTEGER NOT NULL DEFAULT 0;

-- Frames in one piece, compressed, with what a search wants to know before it unpacks them.
CREATE TABLE blocks (
  session INTEGER NOT NULL,
  first INTEGER NOT NULL,
  last INTEGER NOT NULL,
  first_at INTEGER NOT NULL,
  last_at INTEGER NOT NULL,
  -- A bit for each kind of fact, see block.rs.
  kinds INTEGER NOT NULL,
  -- The objects that are spoken of, one a line.
  objects TEXT NOT NULL,
  -- The size before compression.
  raw INTEGER NOT NULL,
  -- Checks `data`.
  sum INTEGER NOT NULL,
  data BLOB NOT NULL
);
CREATE UNIQUE INDEX blocks_by_last ON blocks (session, last);

-- In which block a producer's numbers are, by the last of them there.
CREATE TABLE block_counters (
  session INTEGER NOT NULL,
  producer TEXT NOT NULL,
  counter INTEGER NOT NULL,
  last INTEGER NOT NULL,
  PRIMARY KEY (session, producer, counter)
) WITHOUT ROWID;

-- What is known of the file itself.
CREATE TABLE notes (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
