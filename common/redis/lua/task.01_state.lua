-- Tasks of one shard: how a task and its places are read, written and told of.
--
-- Unless said otherwise every function takes the same KEYS ("task layout"):
--   1 incarnation  2 sequence  3 events  4 project  5 task  6 places  7 ready  8 deadlines
--   9 dirty  10 live  11 expiries  12 ended  13 dead  14 delayed
-- and ARGV 1 now, 2 incarnation, 3 task id, 4 project key, then its own.
-- Codes all share: INCARNATION (the caller is not of this incarnation), NOT_FOUND (no such task of
-- that project).
-- Complexity O(log n) in the queue lengths, O(places) where said. A place is packed as
-- "state|token|deadline|assignment|offered|work|accepted", times in ms.

local K = {inc = 1, seq = 2, ev = 3, project = 4, task = 5, places = 6, ready = 7, deadlines = 8,
  dirty = 9, live = 10, expiries = 11, ended = 12, dead = 13, delayed = 14}

-- What a repeated call waits for: the first one's event may not be durable yet.
local function last_sequence(keys) return tonumber(redis.call('GET', keys[K.seq]) or '0') end

local RELEASES = {DECLINED = true, RETURNED = true, REPORTED = true, DUE = true}
local TERMINAL = {COMPLETED = true, CANCELLED = true, EXPIRED = true, DEAD = true}

-- Whether it belongs into the ready queue.
local function wants_offer(t)
  return (t.st == 'READY' or t.st == 'OPEN') and t.have + t.open < t.want
end

-- nil also for a task of another project: the caller was authorised for the one it named, and the
-- counts and the ready queue at hand are that one's.
local function read_task(keys, argv)
  local f = redis.call('HMGET', keys[K.task], 'st', 'v', 'want', 'have', 'open', 'rank', 'exp', 'p',
    'overdue')
  if not f[1] or f[8] ~= argv[4] then return nil end
  local t = {st = f[1], v = tonumber(f[2]), want = tonumber(f[3]), have = tonumber(f[4]),
    open = tonumber(f[5]), rank = f[6], exp = f[7], overdue = tonumber(f[9] or '0')}
  t.ready = wants_offer(t)
  return t
end

local function read_place(keys, contractor)
  local packed = redis.call('HGET', keys[K.places], contractor)
  if not packed then return nil end
  local p = {}
  for part in string.gmatch(packed .. '|', '([^|]*)|') do p[#p + 1] = part end
  return {st = p[1], token = p[2], deadline = tonumber(p[3]), assignment = p[4],
    offered = tonumber(p[5]), work = tonumber(p[6]), accepted = tonumber(p[7])}
end

-- With more fields of the places, where there are any.
local function write_place(keys, contractor, p, ...)
  redis.call('HSET', keys[K.places], contractor, table.concat({p.st, p.token, int(p.deadline),
    p.assignment, int(p.offered), int(p.work), int(p.accepted)}, '|'), ...)
end

-- Writes state and counters, keeps the ready queue and the project's counts in step with them.
local function write_task(keys, id, t, was)
  if not TERMINAL[t.st] and t.st ~= 'DELAYED' then
    t.st = (t.have + t.open > 0) and 'OPEN' or 'READY'
  end
  redis.call('HSET', keys[K.task], 'st', t.st, 'v', int(t.v), 'want', int(t.want),
    'have', int(t.have), 'open', int(t.open), 'overdue', int(t.overdue))
  local ready = wants_offer(t)
  if ready and not t.ready then redis.call('ZADD', keys[K.ready], t.rank, id) end
  if t.ready and not ready then redis.call('ZREM', keys[K.ready], id) end
  t.ready = ready
  if was ~= t.st then
    redis.call('HINCRBY', keys[K.project], string.lower(was), -1)
    redis.call('HINCRBY', keys[K.project], string.lower(t.st), 1)
  end
end

local function emit_task(keys, argv, now, kind, t, ...)
  return emit(keys, now, kind, 'id', argv[3], 'p', argv[4], 'v', int(t.v), 'w', int(t.want),
    'h', int(t.have), 'o', int(t.open), 'st', t.st, ...)
end

local function emit_place(keys, argv, now, t, contractor, p)
  return emit_task(keys, argv, now, 'place', t, 'c', contractor, 'a', p.assignment, 'tk', p.token,
    'ps', p.st, 'dl', int(p.deadline), 'of', int(p.offered), 'wk', int(p.work), 'ac', int(p.accepted))
end

-- Calls visit(contractor, place) with every place of a task. O(places).
local function each_place(keys, visit)
  local fields = redis.call('HGETALL', keys[K.places])
  for i = 1, #fields, 2 do
    if not string.find(fields[i], ':', 1, true) then visit(fields[i], read_place(keys, fields[i])) end
  end
end

local function count_accepted(keys)
  local n = 0
  each_place(keys, function(_, p) if p.st == 'ACCEPTED' then n = n + 1 end end)
  return n
end

-- The last wanted place was accepted: who was offered it beside was too late for it.
local function take_the_rest(keys, argv, now, t)
  each_place(keys, function(contractor, p)
    if p.st ~= 'OFFERED' then return end
    p.st = 'TAKEN'
    t.open = t.open - 1
    write_place(keys, contractor, p)
    redis.call('ZREM', keys[K.deadlines], argv[3] .. '|' .. contractor)
    emit_place(keys, argv, now, t, contractor, p)
  end)
end

-- Takes overdue work's places from it until `most` have one, from the longest overdue first. Work that
-- lost its place so is WITHDRAWN, and out of its window for good. Returns the last event or nil.
-- O(places) where one is taken.
local function take_from_overdue(keys, argv, now, t, most)
  local seq
  while t.overdue > most do
    local who, oldest
    each_place(keys, function(contractor, p)
      if p.st ~= 'OVERDUE' then return end
      local before = not oldest or p.deadline < oldest.deadline
      if before or (p.deadline == oldest.deadline and contractor < who) then who, oldest = contractor, p end
    end)
    t.overdue = t.overdue - 1
    redis.call('HSET', keys[K.task], 'overdue', int(t.overdue))
    oldest.st, oldest.deadline = 'WITHDRAWN', 0
    write_place(keys, who, oldest)
    seq = emit_place(keys, argv, now, t, who, oldest)
  end
  return seq
end

-- Places that nobody has.
local function free_places(t) return math.max(0, t.want - t.have - t.open) end

-- Ends a task: out of every queue; live places are withdrawn. Accepted work may be finished in its
-- window all the same, and keeps its deadline among the deadlines, so that it is known what may still
-- have to be paid. O(places).
local function finish(keys, id, t, state, now)
  local was = t.st
  t.st = state
  t.v = t.v + 1
  t.open = 0
  each_place(keys, function(contractor, p)
    if p.st ~= 'OFFERED' and p.st ~= 'ACCEPTED' then return end
    if p.st == 'OFFERED' or p.deadline < now then
      redis.call('ZREM', keys[K.deadlines], id .. '|' .. contractor)
    end
    p.st = 'WITHDRAWN'
    write_place(keys, contractor, p)
  end)
  write_task(keys, id, t, was)
  redis.call('ZREM', keys[K.dirty], id)
  redis.call('ZREM', keys[K.live], id)
  redis.call('ZREM', keys[K.expiries], id)
  if was == 'DELAYED' then redis.call('ZREM', keys[K.delayed], id) end
  redis.call('ZADD', state == 'DEAD' and keys[K.dead] or keys[K.ended], int(now), id)
end

-- Notes the last event of an ended task, with more of its fields: it may leave Redis once the log holds
-- that one.
local function note_last(keys, seq, ...)
  redis.call('HSET', keys[K.task], 'es', seq, ...)
  return seq
end

-- Flags of what makes room or keeps promises: it works in a full Redis.
local OOM = {'allow-oom'}
