-- What is decided of a task, and what becomes of an ended one: set_want, complete, finish, erase,
-- retract, archive.

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
  local seq = emit_task(keys, argv, now, 'complete', t, 'r', argv[6])
  return {'OK', now, note_last(keys, seq, 'lab', argv[6])}
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
  local seq = emit_task(keys, argv, now, 'end', t, 'r', argv[6])
  return {'OK', now, note_last(keys, seq, 'why', argv[6])}
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
  local seq = emit_task(keys, argv, now, 'want', t)
  return {'OK', now, take_from_overdue(keys, argv, now, t, free_places(t)) or seq}
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
  local seq = emit_task(keys, argv, now, 'retract', t, 'r', argv[5])
  return {'OK', now, note_last(keys, seq, 'lab', argv[5])}
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
  each_place(keys, function(contractor, p)
    if p.st == 'WITHDRAWN' then redis.call('ZREM', keys[K.deadlines], argv[3] .. '|' .. contractor) end
  end)
  redis.call('UNLINK', keys[K.task], keys[K.places])
  redis.call('ZREM', queue, argv[3])
  return {'OK', now, 0}
end

define('fl_task_set_want', {keys = 14, args = 'nsssnp', flags = OOM}, set_want)
define('fl_task_complete', {keys = 14, args = 'nsssns', flags = OOM}, complete)
define('fl_task_finish', {keys = 14, args = 'nsssss', flags = OOM}, finish_other)
define('fl_task_erase', {keys = 14, args = 'nsssss', flags = OOM}, erase)
define('fl_task_retract', {keys = 14, args = 'nssss', flags = OOM}, retract)
define('fl_task_archive', {keys = 14, args = 'nssssnn', flags = OOM}, archive)
