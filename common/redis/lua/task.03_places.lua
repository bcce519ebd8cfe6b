-- The way of a place: offer, accept, extend, release, annotate.

-- offer: gives one place of a task to a contractor until the offer window closes.
-- ARGV 5 contractor, 6 assignment, 7 token, 8 offer window ms, 9 work window ms, 10 offers that may be
-- out beyond the places wanted (the first to accept takes the place), 11 answers that may be accepted
-- work beyond those wanted (somebody is slow), 12 whether it must be a place that overdue work has (0|1).
-- Overdue work has its place until that is offered to somebody else: an offer takes one from it where
-- no other is free, or where it must.
-- Codes: PAUSED, STATE (ended or delayed), NO_PLACE, SEEN (this contractor had its chance). O(places)
-- where no place is free.
local function offer(keys, argv)
  local now = now_of(argv)
  if fenced(keys, argv) then return {'INCARNATION', now, 0} end
  local t = read_task(keys, argv)
  if not t then return {'NOT_FOUND', now, 0} end
  if redis.call('HGET', keys[K.project], 'paused') == '1' then return {'PAUSED', now, 0} end
  if t.st ~= 'READY' and t.st ~= 'OPEN' then return {'STATE', now, 0} end
  local from_overdue = argv[12] == '1'
  if from_overdue and t.overdue == 0 then return {'NO_PLACE', now, 0} end
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
  local seq = emit_place(keys, argv, now, t, argv[5], p)
  local most = from_overdue and t.overdue - 1 or free_places(t)
  return {'OK', now, take_from_overdue(keys, argv, now, t, most) or seq}
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
      if p and p.st == 'WITHDRAWN' and p.deadline > now then return {'NOT_DUE', now, 0} end
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
  if to == 'OVERDUE' then t.overdue = t.overdue + 1 end
  if to == 'REPORTED' then
    t.v = t.v + 1
    redis.call('HINCRBY', keys[K.task], 'reports', 1)
    redis.call('ZADD', keys[K.dirty], int(now), argv[3])
  end
  write_task(keys, argv[3], t, was)
  local seq = emit_place(keys, argv, now, t, argv[5], p)
  if to == 'OVERDUE' then seq = take_from_overdue(keys, argv, now, t, free_places(t)) or seq end
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
    redis.call('ZREM', keys[K.deadlines], argv[3] .. '|' .. c)
    local seq = emit_task(keys, argv, now, 'orphan', t, 'c', c, 'r', argv[7], 'sp', 1,
      'of', int(p.offered), 'ac', int(p.accepted))
    if TERMINAL[t.st] then note_last(keys, seq) end
    return {'SURPLUS', now, seq, argv[7], int(now), 0, int(p.offered), int(p.accepted)}
  end
  local late = p.st == 'OVERDUE'
  if TERMINAL[t.st] or (p.st ~= 'ACCEPTED' and not late) or (late and t.have + t.open >= t.want) then
    local seq = 0
    if p.st == 'WITHDRAWN' or late then
      if late then redis.call('HSET', keys[K.task], 'overdue', int(math.max(0, t.overdue - 1))) end
      p.st = 'ORPHANED'
      write_place(keys, c, p)
      redis.call('ZREM', keys[K.deadlines], argv[3] .. '|' .. c)
      seq = emit_task(keys, argv, now, 'orphan', t, 'c', c, 'r', argv[7])
      if TERMINAL[t.st] then note_last(keys, seq) end
    end
    return {'LEASE_LOST', now, seq}
  end
  local was = t.st
  if late then t.overdue = math.max(0, t.overdue - 1) else t.open = t.open - 1 end
  late = late or p.deadline < now
  t.have, t.v = t.have + 1, t.v + 1
  p.st, p.deadline = 'SUBMITTED', now
  write_place(keys, c, p, 'ann:' .. c, argv[7])
  if late then redis.call('HSET', keys[K.places], 'late:' .. c, 1) end
  redis.call('ZREM', keys[K.deadlines], argv[3] .. '|' .. c)
  redis.call('ZADD', keys[K.dirty], int(now), argv[3])
  redis.call('HINCRBY', keys[K.project], 'annotations', 1)
  write_task(keys, argv[3], t, was)
  local seq = emit_task(keys, argv, now, 'annotate', t, 'c', c, 'r', argv[7], 'lt', late and 1 or 0,
    'of', int(p.offered), 'ac', int(p.accepted))
  return {'OK', now, seq, argv[7], int(now), late and 1 or 0, int(p.offered), int(p.accepted)}
end

define('fl_task_offer', {keys = 14, args = 'nssssttnnnnn', flags = OOM}, offer)
define('fl_task_accept', {keys = 14, args = 'nsssss', flags = OOM}, accept)
define('fl_task_extend', {keys = 14, args = 'nsssss', flags = OOM}, extend)
define('fl_task_release', {keys = 14, args = 'nsssssss', flags = OOM}, release)
define('fl_task_annotate', {keys = 14, args = 'nssssss', flags = OOM}, annotate)
