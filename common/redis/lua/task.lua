-- Tasks of one shard: submit, offer, accept, release, annotate, complete, end, and their bookkeeping.
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

-- nil also for a task of another project: the caller was authorised for the one it named, and the
-- counts and the ready queue at hand are that one's.
local function read_task(keys, argv)
  local f = redis.call('HMGET', keys[K.task], 'st', 'v', 'want', 'have', 'open', 'rank', 'exp', 'p')
  if not f[1] or f[8] ~= argv[4] then return nil end
  return {st = f[1], v = tonumber(f[2]), want = tonumber(f[3]), have = tonumber(f[4]),
    open = tonumber(f[5]), rank = f[6], exp = f[7]}
end

local function read_place(keys, contractor)
  local packed = redis.call('HGET', keys[K.places], contractor)
  if not packed then return nil end
  local p = {}
  for part in string.gmatch(packed .. '|', '([^|]*)|') do p[#p + 1] = part end
  return {st = p[1], token = p[2], deadline = tonumber(p[3]), assignment = p[4],
    offered = tonumber(p[5]), work = tonumber(p[6]), accepted = tonumber(p[7])}
end

local function write_place(keys, contractor, p)
  redis.call('HSET', keys[K.places], contractor, table.concat({p.st, p.token, int(p.deadline),
    p.assignment, int(p.offered), int(p.work), int(p.accepted)}, '|'))
end

-- Writes state and counters, keeps the ready queue and the project's counts in step with them.
local function write_task(keys, id, t, was)
  if not TERMINAL[t.st] and t.st ~= 'DELAYED' then
    t.st = (t.have + t.open > 0) and 'OPEN' or 'READY'
  end
  redis.call('HSET', keys[K.task], 'st', t.st, 'v', int(t.v), 'want', int(t.want),
    'have', int(t.have), 'open', int(t.open))
  if (t.st == 'READY' or t.st == 'OPEN') and t.have + t.open < t.want then
    redis.call('ZADD', keys[K.ready], t.rank, id)
  else
    redis.call('ZREM', keys[K.ready], id)
  end
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

-- Ends a task: out of every queue; live places are withdrawn. O(places).
local function finish(keys, id, t, state, now)
  local was = t.st
  t.st = state
  t.v = t.v + 1
  t.open = 0
  each_place(keys, function(contractor, p)
    if p.st ~= 'OFFERED' and p.st ~= 'ACCEPTED' then return end
    p.st = 'WITHDRAWN'
    write_place(keys, contractor, p)
    redis.call('ZREM', keys[K.deadlines], id .. '|' .. contractor)
  end)
  write_task(keys, id, t, was)
  redis.call('ZREM', keys[K.dirty], id)
  redis.call('ZREM', keys[K.live], id)
  redis.call('ZREM', keys[K.expiries], id)
  redis.call('ZREM', keys[K.delayed], id)
  redis.call('ZADD', state == 'DEAD' and keys[K.dead] or keys[K.ended], int(now), id)
end

-- Notes the last event of an ended task: it may leave Redis once the log holds that one.
local function note_last(keys, seq)
  redis.call('HSET', keys[K.task], 'es', seq)
  return seq
end

-- project_put: creates or replaces a project's record.
-- KEYS 1-3, 4 projects, 5 project. ARGV 3 project, 4 expected revision (0 creates), 5 record,
-- 6 paused (0|1), 7 backlog cap. Codes: EXISTS (with the stored record), REVISION, NOT_FOUND.
local function project_put(keys, argv)
  local now = now_of(argv)
  if fenced(keys, argv) then return {'INCARNATION', now, 0} end
  local stored = redis.call('HMGET', keys[5], 'rev', 'rec')
  local expected = tonumber(argv[4])
  if stored[1] and expected == 0 then return {'EXISTS', now, 0, stored[2]} end
  if not stored[1] and expected > 0 then return {'NOT_FOUND', now, 0} end
  if stored[1] and tonumber(stored[1]) ~= expected then return {'REVISION', now, 0} end
  redis.call('HSET', keys[5], 'rev', expected + 1, 'rec', argv[5], 'paused', argv[6], 'cap', argv[7])
  redis.call('SADD', keys[4], argv[3])
  return {'OK', now, emit(keys, now, 'project', 'p', argv[3], 'r', argv[5])}
end

-- submit: n tasks, all or nothing, once per request id.
-- KEYS 1-3, 4 project, 5 ready, 6 request, 7 live, 8 expiries, 9 delayed, 10… the tasks.
-- ARGV 3 project, 4 request id, 5 body hash, then per task: id, record, rank, expiry ms, want, start ms.
-- Codes: NOT_FOUND (project), DUP (with the first ids, comma-separated), REUSED (same request id,
-- other body), FULL (backlog cap). O(n log N).
local function submit(keys, argv)
  local now = now_of(argv)
  if fenced(keys, argv) then return {'INCARNATION', now, 0} end
  local p = redis.call('HMGET', keys[4], 'cap', 'ready', 'delayed', 'open')
  if not p[1] then return {'NOT_FOUND', now, 0} end
  local first = redis.call('GET', keys[6])
  if first then
    local hash, ids = string.match(first, '^(%S+) (.*)$')
    if hash == argv[5] then return {'DUP', now, last_sequence(keys), ids} end
    return {'REUSED', now, 0}
  end
  local n = (#argv - 5) / 6
  if (tonumber(p[2]) or 0) + (tonumber(p[3]) or 0) + (tonumber(p[4]) or 0) + n > tonumber(p[1]) then
    return {'FULL', now, 0, p[1]}
  end
  local ids, records, delayed = {}, {}, 0
  for i = 1, n do
    local a = 5 + (i - 1) * 6
    local id, rec, rank, exp, want, start = argv[a + 1], argv[a + 2], argv[a + 3], argv[a + 4], argv[a + 5], argv[a + 6]
    local late = tonumber(start) > now
    redis.call('HSET', keys[9 + i], 'p', argv[3], 'st', late and 'DELAYED' or 'READY', 'v', 1,
      'want', want, 'have', 0, 'open', 0, 'rank', rank, 'exp', exp, 'rec', rec)
    redis.call('ZADD', keys[7], int(now), id)
    redis.call('ZADD', keys[8], exp, id)
    if late then
      redis.call('ZADD', keys[9], start, id)
      delayed = delayed + 1
    else
      redis.call('ZADD', keys[5], rank, id)
    end
    ids[i] = id
    records[#records + 1] = 'b'
    records[#records + 1] = rec
  end
  redis.call('HINCRBY', keys[4], 'submitted', n)
  redis.call('HINCRBY', keys[4], 'ready', n - delayed)
  redis.call('HINCRBY', keys[4], 'delayed', delayed)
  redis.call('SET', keys[6], argv[5] .. ' ' .. table.concat(ids, ','), 'PX', 604800000)
  local seq = emit(keys, now, 'submit', 'p', argv[3], 'q', argv[4], 'h', argv[5], unpack(records))
  return {'OK', now, seq, table.concat(ids, ',')}
end

-- offer: gives one place of a task to a contractor until the offer window closes.
-- ARGV 5 contractor, 6 assignment, 7 token, 8 offer window ms, 9 work window ms, 10 offers that may be
-- out beyond the places wanted (the first to accept takes the place), 11 answers that may be accepted
-- work beyond those wanted (somebody is slow).
-- Codes: PAUSED, STATE (ended or delayed), NO_PLACE, SEEN (this contractor had its chance). O(places)
-- where no place is free.
local function offer(keys, argv)
  local now = now_of(argv)
  if fenced(keys, argv) then return {'INCARNATION', now, 0} end
  local t = read_task(keys, argv)
  if not t then return {'NOT_FOUND', now, 0} end
  if redis.call('HGET', keys[K.project], 'paused') == '1' then return {'PAUSED', now, 0} end
  if t.st ~= 'READY' and t.st ~= 'OPEN' then return {'STATE', now, 0} end
  if t.have + t.open >= t.want then
    local spare = tonumber(argv[11])
    if t.have + t.open >= t.want + tonumber(argv[10]) + spare then return {'NO_PLACE', now, 0} end
    if t.have + count_accepted(keys) >= t.want + spare then return {'NO_PLACE', now, 0} end
  end
  -- An offer that lapsed or was taken was never opened: it may be made again. Any other place is for
  -- ever.
  local before = read_place(keys, argv[5])
  if before and before.st ~= 'LAPSED' and before.st ~= 'TAKEN' then return {'SEEN', now, 0} end
  local p = {st = 'OFFERED', token = argv[7], deadline = now + tonumber(argv[8]),
    assignment = argv[6], offered = now, work = tonumber(argv[9]), accepted = 0}
  local was = t.st
  t.open = t.open + 1
  write_place(keys, argv[5], p)
  redis.call('ZADD', keys[K.deadlines], int(p.deadline), argv[3] .. '|' .. argv[5])
  write_task(keys, argv[3], t, was)
  return {'OK', now, emit_place(keys, argv, now, t, argv[5], p)}
end

-- accept: the offer becomes an assignment with the work window. Repeating it is OK. O(places) where
-- more offers are out than places wanted.
-- ARGV 5 contractor, 6 token. Returns also: deadline ms, the task's record, its prelabel or nil.
-- Codes: LEASE_LOST, STATE.
local function accept(keys, argv)
  local now = now_of(argv)
  if fenced(keys, argv) then return {'INCARNATION', now, 0} end
  local t = read_task(keys, argv)
  if not t then return {'NOT_FOUND', now, 0} end
  local p = read_place(keys, argv[5])
  if not p or p.token ~= argv[6] then return {'LEASE_LOST', now, 0} end
  if p.st == 'SUBMITTED' then return {'STATE', now, 0} end
  local seq = 0
  if p.st ~= 'ACCEPTED' then
    if p.st ~= 'OFFERED' or p.deadline < now then return {'LEASE_LOST', now, 0} end
    p.st, p.accepted, p.deadline = 'ACCEPTED', now, now + p.work
    write_place(keys, argv[5], p)
    redis.call('ZADD', keys[K.deadlines], int(p.deadline), argv[3] .. '|' .. argv[5])
    if t.have + t.open > t.want and t.have + count_accepted(keys) >= t.want then
      local was = t.st
      take_the_rest(keys, argv, now, t)
      write_task(keys, argv[3], t, was)
    end
    seq = emit_place(keys, argv, now, t, argv[5], p)
  end
  local work = redis.call('HMGET', keys[K.task], 'rec', 'pre')
  return {'OK', now, seq, int(p.deadline), work[1], work[2]}
end

-- extend: the whole work window again from now, at most WINDOWS of them since it was accepted.
-- ARGV 5 contractor, 6 token. Returns also: deadline ms. Codes: LEASE_LOST, STATE.
local WINDOWS = 4
local function extend(keys, argv)
  local now = now_of(argv)
  if fenced(keys, argv) then return {'INCARNATION', now, 0} end
  local t = read_task(keys, argv)
  if not t then return {'NOT_FOUND', now, 0} end
  local p = read_place(keys, argv[5])
  if not p or p.token ~= argv[6] then return {'LEASE_LOST', now, 0} end
  if p.st == 'SUBMITTED' or p.st == 'OFFERED' then return {'STATE', now, 0} end
  if p.st ~= 'ACCEPTED' or p.deadline < now then return {'LEASE_LOST', now, 0} end
  local deadline = math.min(now + p.work, p.accepted + WINDOWS * p.work)
  if deadline <= p.deadline then return {'OK', now, 0, int(p.deadline)} end
  p.deadline = deadline
  write_place(keys, argv[5], p)
  redis.call('ZADD', keys[K.deadlines], int(deadline), argv[3] .. '|' .. argv[5])
  return {'OK', now, emit_place(keys, argv, now, t, argv[5], p), int(deadline)}
end

-- release: a place is given up and the task moves on.
-- ARGV 5 contractor, 6 token, 7 to (DECLINED from OFFERED; RETURNED or REPORTED from ACCEPTED; DUE:
-- LAPSED or OVERDUE once the deadline has passed, token ignored), 8 reason (REPORTED).
-- Codes: LEASE_LOST, STATE, NOT_DUE.
local function release(keys, argv)
  local now = now_of(argv)
  if fenced(keys, argv) then return {'INCARNATION', now, 0} end
  local t = read_task(keys, argv)
  if not t then return {'NOT_FOUND', now, 0} end
  local p = read_place(keys, argv[5])
  local to = argv[7]
  if not RELEASES[to] then return redis.error_reply('ARGUMENT no release as ' .. to) end
  if to == 'DUE' then
    if not p or (p.st ~= 'OFFERED' and p.st ~= 'ACCEPTED') then
      redis.call('ZREM', keys[K.deadlines], argv[3] .. '|' .. argv[5])
      return {'STATE', now, 0}
    end
    if p.deadline > now then return {'NOT_DUE', now, 0} end
    to = (p.st == 'OFFERED') and 'LAPSED' or 'OVERDUE'
  else
    if not p or p.token ~= argv[6] then return {'LEASE_LOST', now, 0} end
    if p.st == to then return {'OK', now, 0} end
    if p.st == 'SUBMITTED' then return {'STATE', now, 0} end
    if p.st ~= 'OFFERED' and p.st ~= 'ACCEPTED' then return {'LEASE_LOST', now, 0} end
    if (to == 'DECLINED') ~= (p.st == 'OFFERED') then return {'STATE', now, 0} end
  end
  p.st = to
  write_place(keys, argv[5], p)
  redis.call('ZREM', keys[K.deadlines], argv[3] .. '|' .. argv[5])
  local was = t.st
  t.open = t.open - 1
  if to == 'REPORTED' then
    t.v = t.v + 1
    redis.call('HINCRBY', keys[K.task], 'reports', 1)
    redis.call('ZADD', keys[K.dirty], int(now), argv[3])
  end
  write_task(keys, argv[3], t, was)
  local seq = emit_place(keys, argv, now, t, argv[5], p)
  if to == 'REPORTED' then
    seq = emit_task(keys, argv, now, 'report', t, 'c', argv[5], 'r', argv[8])
  end
  return {'OK', now, seq}
end

-- annotate: an answer is accepted, at most once per place.
-- ARGV 5 contractor, 6 token, 7 record (AnnotationRecord). Returns also: the accepted record, when it
-- was accepted (ms), late (0|1), offered ms, accepted ms. Codes: DUP (with the same fields of the first
-- time), SURPLUS (with the same fields, repeated as well: it was accepted work when the task ended, and
-- is finished in its window; paid, not used), STATE (not accepted yet), LEASE_LOST (seq > 0: the work was
-- kept for pay review).
local function annotate(keys, argv)
  local now = now_of(argv)
  if fenced(keys, argv) then return {'INCARNATION', now, 0} end
  local t = read_task(keys, argv)
  if not t then return {'NOT_FOUND', now, 0} end
  local c = argv[5]
  local p = read_place(keys, c)
  if not p or p.token ~= argv[6] then return {'LEASE_LOST', now, 0} end
  if p.st == 'SUBMITTED' then
    -- A place's deadline is no longer used once it is submitted: it holds the time of acceptance.
    local late = redis.call('HGET', keys[K.places], 'late:' .. c) and 1 or 0
    return {'DUP', now, last_sequence(keys), redis.call('HGET', keys[K.places], 'ann:' .. c), int(p.deadline), late, int(p.offered), int(p.accepted)}
  end
  if p.st == 'OFFERED' then return {'STATE', now, 0} end
  if p.st == 'SURPLUS' then
    return {'SURPLUS', now, last_sequence(keys), argv[7], int(p.deadline), 0, int(p.offered), int(p.accepted)}
  end
  if p.st == 'WITHDRAWN' and p.accepted > 0 and p.deadline >= now then
    p.st, p.deadline = 'SURPLUS', now
    write_place(keys, c, p)
    local seq = emit_task(keys, argv, now, 'orphan', t, 'c', c, 'r', argv[7], 'sp', 1,
      'of', int(p.offered), 'ac', int(p.accepted))
    if TERMINAL[t.st] then note_last(keys, seq) end
    return {'SURPLUS', now, seq, argv[7], int(now), 0, int(p.offered), int(p.accepted)}
  end
  local late = p.st == 'OVERDUE'
  if TERMINAL[t.st] or (p.st ~= 'ACCEPTED' and not late) or (late and t.have + t.open >= t.want) then
    local seq = 0
    if p.st == 'WITHDRAWN' or p.st == 'OVERDUE' then
      p.st = 'ORPHANED'
      write_place(keys, c, p)
      seq = emit_task(keys, argv, now, 'orphan', t, 'c', c, 'r', argv[7])
      if TERMINAL[t.st] then note_last(keys, seq) end
    end
    return {'LEASE_LOST', now, seq}
  end
  local was = t.st
  if not late then t.open = t.open - 1 end
  late = late or p.deadline < now
  t.have, t.v = t.have + 1, t.v + 1
  p.st, p.deadline = 'SUBMITTED', now
  write_place(keys, c, p)
  redis.call('HSET', keys[K.places], 'ann:' .. c, argv[7])
  if late then redis.call('HSET', keys[K.places], 'late:' .. c, 1) end
  redis.call('ZREM', keys[K.deadlines], argv[3] .. '|' .. c)
  redis.call('ZADD', keys[K.dirty], int(now), argv[3])
  redis.call('HINCRBY', keys[K.project], 'annotations', 1)
  write_task(keys, argv[3], t, was)
  local seq = emit_task(keys, argv, now, 'annotate', t, 'c', c, 'r', argv[7], 'lt', late and 1 or 0,
    'of', int(p.offered), 'ac', int(p.accepted))
  return {'OK', now, seq, argv[7], int(now), late and 1 or 0, int(p.offered), int(p.accepted)}
end

-- complete: a task gets its label, by compare-and-set of its version.
-- ARGV 5 version, 6 record (LabelRecord). Codes: TERMINAL, STALE. O(places).
local function complete(keys, argv)
  local now = now_of(argv)
  if fenced(keys, argv) then return {'INCARNATION', now, 0} end
  local t = read_task(keys, argv)
  if not t then return {'NOT_FOUND', now, 0} end
  if TERMINAL[t.st] then return {'TERMINAL', now, 0} end
  if t.v ~= tonumber(argv[5]) then return {'STALE', now, 0} end
  finish(keys, argv[3], t, 'COMPLETED', now)
  redis.call('HSET', keys[K.task], 'lab', argv[6])
  return {'OK', now, note_last(keys, emit_task(keys, argv, now, 'complete', t, 'r', argv[6]))}
end

-- finish_other: CANCELLED, EXPIRED (only once its expiry has passed) or DEAD.
-- ARGV 5 state, 6 reason. Codes: TERMINAL (with the state it is in), NOT_DUE. O(places).
local function finish_other(keys, argv)
  local now = now_of(argv)
  if fenced(keys, argv) then return {'INCARNATION', now, 0} end
  local t = read_task(keys, argv)
  if not t then return {'NOT_FOUND', now, 0} end
  if TERMINAL[t.st] then
    redis.call('ZREM', keys[K.expiries], argv[3])
    return {'TERMINAL', now, 0, t.st}
  end
  if argv[5] == 'COMPLETED' or not TERMINAL[argv[5]] then
    return redis.error_reply('ARGUMENT no end as ' .. argv[5])
  end
  if argv[5] == 'EXPIRED' and tonumber(t.exp) > now then return {'NOT_DUE', now, 0} end
  finish(keys, argv[3], t, argv[5], now)
  redis.call('HSET', keys[K.task], 'why', argv[6])
  return {'OK', now, note_last(keys, emit_task(keys, argv, now, 'end', t, 'r', argv[6]))}
end

-- set_want: how many answers are wanted from now on, by compare-and-set; the task is no longer dirty.
-- ARGV 5 version, 6 want. Codes: TERMINAL, STALE.
local function set_want(keys, argv)
  local now = now_of(argv)
  if fenced(keys, argv) then return {'INCARNATION', now, 0} end
  local t = read_task(keys, argv)
  if not t then return {'NOT_FOUND', now, 0} end
  if TERMINAL[t.st] then return {'TERMINAL', now, 0} end
  if t.v ~= tonumber(argv[5]) then return {'STALE', now, 0} end
  redis.call('ZREM', keys[K.dirty], argv[3])
  if t.want == tonumber(argv[6]) then return {'OK', now, 0} end
  local was = t.st
  t.want, t.v = tonumber(argv[6]), t.v + 1
  write_task(keys, argv[3], t, was)
  return {'OK', now, emit_task(keys, argv, now, 'want', t)}
end

-- prelabel: what the champion says; it may decide the task. ARGV 5 record (PrelabelRecord). Code:
-- TERMINAL.
local function prelabel(keys, argv)
  local now = now_of(argv)
  if fenced(keys, argv) then return {'INCARNATION', now, 0} end
  local t = read_task(keys, argv)
  if not t then return {'NOT_FOUND', now, 0} end
  if TERMINAL[t.st] then return {'TERMINAL', now, 0} end
  t.v = t.v + 1
  redis.call('HSET', keys[K.task], 'pre', argv[5], 'v', int(t.v))
  redis.call('ZADD', keys[K.dirty], int(now), argv[3])
  return {'OK', now, emit_task(keys, argv, now, 'prelabel', t, 'r', argv[5])}
end

-- start: a DELAYED task whose time has come is READY. Codes: STATE, NOT_DUE.
local function start(keys, argv)
  local now = now_of(argv)
  if fenced(keys, argv) then return {'INCARNATION', now, 0} end
  local t = read_task(keys, argv)
  if not t then return {'NOT_FOUND', now, 0} end
  local due = redis.call('ZSCORE', keys[K.delayed], argv[3])
  if t.st ~= 'DELAYED' or not due then
    redis.call('ZREM', keys[K.delayed], argv[3])
    return {'STATE', now, 0}
  end
  if tonumber(due) > now then return {'NOT_DUE', now, 0} end
  redis.call('ZREM', keys[K.delayed], argv[3])
  t.st, t.v = 'READY', t.v + 1
  write_task(keys, argv[3], t, 'DELAYED')
  return {'OK', now, emit_task(keys, argv, now, 'start', t)}
end

-- replay: a DEAD task is offered again, one answer more than it has. ARGV 5 expiry ms. Codes: STATE,
-- RETRACTED (it was gold, and wrong: the only label that a dead task has).
local function replay(keys, argv)
  local now = now_of(argv)
  if fenced(keys, argv) then return {'INCARNATION', now, 0} end
  local t = read_task(keys, argv)
  if not t then return {'NOT_FOUND', now, 0} end
  if t.st ~= 'DEAD' then return {'STATE', now, 0, t.st} end
  if redis.call('HEXISTS', keys[K.task], 'lab') == 1 then return {'RETRACTED', now, 0} end
  redis.call('HSET', keys[K.task], 'reports', 0, 'exp', argv[5])
  redis.call('HDEL', keys[K.task], 'why', 'es')
  redis.call('ZREM', keys[K.dead], argv[3])
  redis.call('ZREM', keys[K.ended], argv[3])
  redis.call('ZADD', keys[K.live], int(now), argv[3])
  redis.call('ZADD', keys[K.expiries], argv[5], argv[3])
  t.st, t.v = 'READY', t.v + 1
  if t.want <= t.have then t.want = t.have + 1 end
  write_task(keys, argv[3], t, 'DEAD')
  return {'OK', now, emit_task(keys, argv, now, 'replay', t, 'ex', argv[5])}
end

-- erase: an ended task's answer by one contractor is replaced by what may be kept of it.
-- ARGV 5 contractor, 6 record (AnnotationRecord). The caller has found the task, in the record log if it
-- has left Redis. Codes: STATE (goes on), NO_ANSWER.
local function erase(keys, argv)
  local now = now_of(argv)
  if fenced(keys, argv) then return {'INCARNATION', now, 0} end
  local c = argv[5]
  local t = read_task(keys, argv)
  if not t then
    if redis.call('EXISTS', keys[K.task]) == 1 then return {'NOT_FOUND', now, 0} end
    return {'OK', now, emit(keys, now, 'erase', 'id', argv[3], 'p', argv[4], 'c', c, 'r', argv[6])}
  end
  if not TERMINAL[t.st] then return {'STATE', now, 0, t.st} end
  if redis.call('HEXISTS', keys[K.places], 'ann:' .. c) == 0 then return {'NO_ANSWER', now, 0} end
  redis.call('HSET', keys[K.places], 'ann:' .. c, argv[6])
  return {'OK', now, note_last(keys, emit_task(keys, argv, now, 'erase', t, 'c', c, 'r', argv[6]))}
end

-- retract: an ended gold task's label is replaced by one that says why it was taken back.
-- ARGV 5 record (LabelRecord). The caller has found the task, in the record log if it has left Redis.
-- Code: STATE (goes on).
local function retract(keys, argv)
  local now = now_of(argv)
  if fenced(keys, argv) then return {'INCARNATION', now, 0} end
  local t = read_task(keys, argv)
  if not t then
    if redis.call('EXISTS', keys[K.task]) == 1 then return {'NOT_FOUND', now, 0} end
    return {'OK', now, emit(keys, now, 'retract', 'id', argv[3], 'p', argv[4], 'r', argv[5])}
  end
  if not TERMINAL[t.st] then return {'STATE', now, 0, t.st} end
  redis.call('HSET', keys[K.task], 'lab', argv[5])
  return {'OK', now, note_last(keys, emit_task(keys, argv, now, 'retract', t, 'r', argv[5]))}
end

-- archive: an ended task leaves Redis, when the record log holds everything of it: reads fall
-- through to the log from then on. The project's counts stay.
-- ARGV 5 queue it was found in (ended | dead), 6 by when it must have ended (ms), 7 sequence up to
-- which the log holds this slot's events. Codes: STATE (not of that queue, not any more), NOT_DUE,
-- NOT_LOGGED. O(places).
local function archive(keys, argv)
  local now = now_of(argv)
  if fenced(keys, argv) then return {'INCARNATION', now, 0} end
  if argv[5] ~= 'dead' and argv[5] ~= 'ended' then return redis.error_reply('ARGUMENT no queue ' .. argv[5]) end
  local queue = argv[5] == 'dead' and keys[K.dead] or keys[K.ended]
  local f = redis.call('HMGET', keys[K.task], 'st', 'es', 'p')
  if not f[1] or f[3] ~= argv[4] then return {'NOT_FOUND', now, 0} end
  if not TERMINAL[f[1]] or (f[1] == 'DEAD') ~= (argv[5] == 'dead') then
    redis.call('ZREM', queue, argv[3])
    return {'STATE', now, 0}
  end
  local ended = redis.call('ZSCORE', queue, argv[3])
  if not ended or tonumber(ended) > tonumber(argv[6]) then return {'NOT_DUE', now, 0} end
  local last = tonumber(f[2]) or last_sequence(keys)
  if last > tonumber(argv[7]) then return {'NOT_LOGGED', now, 0} end
  redis.call('UNLINK', keys[K.task], keys[K.places])
  redis.call('ZREM', queue, argv[3])
  return {'OK', now, 0}
end

define('fl_task_project_put', {keys = 5, args = 'nssnssn'}, project_put)
define('fl_task_submit', {keys = 9, args = 'nssss', each = 'ssnnpn', each_key = 1, least = 1}, submit)
define('fl_task_replay', {keys = 14, args = 'nsssn'}, replay)
-- These make room or keep promises: they work in a full Redis.
local OOM = {'allow-oom'}
define('fl_task_offer', {keys = 14, args = 'nssssttnnnn', flags = OOM}, offer)
define('fl_task_accept', {keys = 14, args = 'nsssss', flags = OOM}, accept)
define('fl_task_extend', {keys = 14, args = 'nsssss', flags = OOM}, extend)
define('fl_task_release', {keys = 14, args = 'nsssssss', flags = OOM}, release)
define('fl_task_annotate', {keys = 14, args = 'nssssss', flags = OOM}, annotate)
define('fl_task_complete', {keys = 14, args = 'nsssns', flags = OOM}, complete)
define('fl_task_finish', {keys = 14, args = 'nsssss', flags = OOM}, finish_other)
define('fl_task_set_want', {keys = 14, args = 'nsssnp', flags = OOM}, set_want)
define('fl_task_prelabel', {keys = 14, args = 'nssss', flags = OOM}, prelabel)
define('fl_task_start', {keys = 14, args = 'nsss', flags = OOM}, start)
define('fl_task_erase', {keys = 14, args = 'nsssss', flags = OOM}, erase)
define('fl_task_retract', {keys = 14, args = 'nssss', flags = OOM}, retract)
define('fl_task_archive', {keys = 14, args = 'nssssnn', flags = OOM}, archive)
