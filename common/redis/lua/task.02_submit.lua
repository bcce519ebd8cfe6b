-- Projects, and the way of a task until it is offered: submit, prelabel, start, replay.

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

define('fl_task_project_put', {keys = 5, args = 'nssnssn'}, project_put)
define('fl_task_submit', {keys = 9, args = 'nssss', each = 'ssnnpn', each_key = 1, least = 1}, submit)
define('fl_task_prelabel', {keys = 14, args = 'nssss', flags = OOM}, prelabel)
define('fl_task_start', {keys = 14, args = 'nsss', flags = OOM}, start)
define('fl_task_replay', {keys = 14, args = 'nsssn'}, replay)
