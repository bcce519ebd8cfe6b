-- Part 12 of lane3: what operators ask and set.
-- Takes a job that has not ended off its place.
local function take_off(s, job)
  local class, flow, lane = class_of(s, job.class), flow_of(s, job.flow), lane_of(s)
  if job.state == 'delayed' then
    redis.call('ZREM', s.keys[Z], 'j' .. job.id)
    set_due(s)
    class.delayed, flow.waiting = class.delayed - 1, flow.waiting - 1
  elseif job.state == 'leased' then
    -- Its holder is told by what stands in its place.
    job.grant.entries[job.at], job.grant.changed = false, true
    save_grant(s, job.session, job.grant)
    class.leased, lane.gone = class.leased - 1, lane.gone + 1
    released(s, job.flow, 1)
  else
    local queue = queue_of(s, job.class, job.flow)
    if job.place then
      withdraw(s, job, job.place)
    else
      redis.call('ZREM', s.keys[DL], dated_member(queue, job))
      local chain = chain_of(s, queue, job.priority)
      chain.dated, queue.n = chain.dated - 1, queue.n - 1
    end
    class.ready, flow.waiting = class.ready - 1, flow.waiting - 1
  end
end

-- cancel: a job that has not ended is dead with the error "cancelled"; who holds it is told at
-- its next tick. ARGV 3 job. Returns {OK, now, seq}. Codes: NOT_FOUND, TERMINAL. allow-oom.
-- O(log n + sessions · held).
local function cancel(keys, argv)
  local now = now_of(argv)
  if fenced(keys, argv) then return {'INCARNATION', now, 0} end
  local s = begin(keys, now)
  local job = locate(s, argv[3], true)
  if not job then return {'NOT_FOUND', now, 0} end
  if job.done or job.dead then return {'TERMINAL', now, 0} end
  take_off(s, job)
  to_dead(s, job, 'cancelled')
  local seq = flush(s)
  wake(s, s.ready)
  return {'OK', now, seq}
end

-- The dead jobs among up to 100 ids of ARGV 3…; nil when there are none or too many.
local function dead_jobs(s, argv)
  if #argv < 3 or #argv > 2 + MAX_BATCH then return nil end
  local bodies, seen = redis.call('HMGET', s.keys[JOB], unpack(argv, 3)), {}
  local codes, dead = {}, {}
  for i = 1, #bodies do
    local id, body = argv[i + 2], bodies[i]
    local mark = body and byte(body)
    if not body or seen[id] then
      codes[i] = 'NOT_FOUND'
    elseif mark ~= DEAD_MARK and mark ~= DEAD_DATED then
      codes[i] = 'NOT_DEAD'
    else
      codes[i] = 'OK'
      dead[#dead + 1] = job_of(id, body)
    end
    seen[id] = true
  end
  return codes, dead
end

-- replay: dead jobs are ready again with attempts and crashes at zero. ARGV 3… up to 100 jobs.
-- Returns {OK, now, 0, for each job OK | NOT_FOUND | NOT_DEAD}. allow-oom. O(jobs · log n).
local function replay(keys, argv)
  local now = now_of(argv)
  if fenced(keys, argv) then return {'INCARNATION', now, 0} end
  local s = begin(keys, now)
  local codes, dead = dead_jobs(s, argv)
  if not codes then return {'INVALID', now, 0} end
  for _, job in ipairs(dead) do
    redis.call('ZREM', keys[DEAD], job.id)
    set(s, 'e' .. job.id, false)
    set(s, 'n' .. job.id, false)
    job.dead, job.attempts, job.crashes = false, 0, 0
    to_ready(s, job, false)
    local class, flow = class_of(s, job.class), flow_of(s, job.flow)
    class.dead, flow.waiting = class.dead - 1, flow.waiting + 1
  end
  local lane = lane_of(s)
  lane.live = lane.live + #dead
  flush(s)
  wake(s, s.ready)
  return {'OK', now, 0, codes}
end

-- purge: dead jobs are forgotten. ARGV 3… up to 100 jobs. Returns as replay. allow-oom.
-- O(jobs · log n).
local function purge(keys, argv)
  local now = now_of(argv)
  if fenced(keys, argv) then return {'INCARNATION', now, 0} end
  local s = begin(keys, now)
  local codes, dead = dead_jobs(s, argv)
  if not codes then return {'INVALID', now, 0} end
  for _, job in ipairs(dead) do
    redis.call('ZREM', keys[DEAD], job.id)
    forget_dead(s, job.id, job)
  end
  flush(s)
  return {'OK', now, 0, codes}
end

-- drain: asks a live session to drain, "*" for all sessions there will be until undone.
-- ARGV 3 session or "*", 4 "1" to drain or "0" to undo. Returns {OK, now, 0, live sessions asked}.
-- Codes: NOT_FOUND. allow-oom. O(log n).
local function drain(keys, argv)
  local now = now_of(argv)
  if fenced(keys, argv) then return {'INCARNATION', now, 0} end
  local s, on = begin(keys, now), argv[4] == '1'
  local asked = 0
  if argv[3] == '*' then
    lane_of(s).drain = on and 1 or 0
    asked = on and live_sessions(s) or 0
  else
    local session = session_of(s, argv[3] or '')
    if not session or session.expiry <= now then
      if on then return {'NOT_FOUND', now, 0} end
      return {'OK', now, 0, 0}
    end
    session.drain = on and 1 or 0
    save_session(s, session)
    asked = on and 1 or 0
  end
  flush(s)
  return {'OK', now, 0, asked}
end

-- sessions: the live sessions. ARGV 3 limit (1…1000).
-- Returns {OK, now, 0, {session, expiry ms, description, jobs held, progress of the first}…}.
-- O(sessions).
local function sessions(keys, argv)
  local now = now_of(argv)
  if fenced(keys, argv) then return {'INCARNATION', now, 0} end
  local limit = whole(argv[3], 1000)
  if not limit or limit < 1 then return {'INVALID', now, 0} end
  local s, reply = begin(keys, now), {'OK', now, 0}
  local ids, fields, live = redis.call('ZRANGE', keys[SES], 0, -1), {}, {}
  for i = 1, #ids do fields[i] = 's' .. ids[i] end
  load(s, fields)
  for i = 1, #ids do
    local session = session_of(s, ids[i])
    if session and session.expiry > now then live[#live + 1] = session end
  end
  table.sort(live, function(a, b) return a.expiry < b.expiry or a.expiry == b.expiry and a.id < b.id end)
  for i = 1, math.min(limit, #live) do
    local session, progress = live[i], ''
    local first = string.match(session.grants, '%x+')
    local grant = first and grant_of(s, session.id, first, {})
    for at = 1, grant and grant.n or 0 do
      if grant.ids[at] and progress == '' then progress = get(s, 'n' .. grant.ids[at]) or '' end
    end
    reply[i + 3] = {session.id, int(session.expiry), get(s, 'd' .. session.id) or '', session.held, progress}
  end
  return reply
end

-- dead: dead jobs, the latest first. ARGV 3 offset, 4 limit (1…1000), 5 a text that the id, the
-- flow or the error contains ("" for any), 6 a kind ("" for any). Looks at 1,000 jobs at most.
-- Returns {OK, now, 0, offset to go on from or -1, {job, error, attempts, crashes, ms of death,
-- class, flow}…}. O(log n + offset + 1000).
local function dead(keys, argv)
  local now = now_of(argv)
  if fenced(keys, argv) then return {'INCARNATION', now, 0} end
  local offset, limit = whole(argv[3], 2 ^ 31), whole(argv[4], 1000)
  if not offset or not limit or limit < 1 or not argv[6] then
    return {'INVALID', now, 0}
  end
  local s = begin(keys, now)
  local list = redis.call('ZREVRANGE', keys[DEAD], offset, offset + 999, 'WITHSCORES')
  local reply = {'OK', now, 0, #list == 2000 and offset + 1000 or -1}
  for i = 1, #list, 2 do
    local body, err = redis.call('HGET', keys[JOB], list[i]), get(s, 'e' .. list[i]) or ''
    local job = body and job_of(list[i], body)
    local name = job and class_of(s, job.class).name
    if job and (argv[6] == '' or string.match(name, '^[^ ]*') == argv[6]) and (argv[5] == '' or
       find(job.id, argv[5], 1, true) or find(err, argv[5], 1, true) or
       find(job.flow, argv[5], 1, true)) then
      if #reply - 4 == limit then
        reply[4] = offset + (i - 1) / 2
        break
      end
      reply[#reply + 1] = {job.id, err, job.attempts, job.crashes, list[i + 1], name, job.flow}
    end
  end
  return reply
end

-- limit: sets what holds for a flow. ARGV 3 flow, 4 weight (1…128), 5 cap of leased jobs, 6 rate in
-- jobs a second, 7 burst (≥ 1 with a rate), 8 cap of waiting jobs, 9 "1" paused; 0 is no limit.
-- Returns {OK, now, 0}. Codes: INVALID. allow-oom. O(classes of the flow).
local function limit(keys, argv)
  local now = now_of(argv)
  if fenced(keys, argv) then return {'INCARNATION', now, 0} end
  local n = {}
  for i = 4, 9 do n[i] = whole(argv[i], i == 4 and 128 or 2 ^ 31 - 1) end
  n[6] = tonumber(argv[6] or nil)
  if not (n[4] and n[5] and n[6] and n[7] and n[8] and n[9]) or n[4] < 1 or
     not (n[6] >= 0 and n[6] <= 1e6) or n[6] > 0 and n[7] < 1 or argv[3] == '' or #argv[3] > 255 or
     find(argv[3], '[|\n]') then
    return {'INVALID', now, 0}
  end
  local s = begin(keys, now)
  local flow = flow_of(s, argv[3])
  if flow.rate == 0 and n[6] > 0 then flow.tokens, flow.at = n[7], now end
  flow.weight, flow.cap, flow.rate, flow.burst, flow.backlog, flow.paused =
    n[4], n[5], n[6], n[7], n[8], n[9] == 1 and 1 or 0
  if flow.paused == 0 then unpark(s, flow) end
  flush(s)
  wake(s, s.ready)
  return {'OK', now, 0}
end

-- keep: sets what is remembered of ended jobs. ARGV 3 how many done and how many dead ones (1,000 …
-- 1,000,000), 4 for how many ms, 5 results of at most how many bytes (≤ 65,536).
-- Returns {OK, now, 0}. Codes: INVALID. allow-oom. O(1).
local function keep(keys, argv)
  local now = now_of(argv)
  if fenced(keys, argv) then return {'INCARNATION', now, 0} end
  local count, age, bytes = whole(argv[3], 1000000), whole(argv[4], 2 ^ 47 - 1), whole(argv[5], 65536)
  if not (count and age and bytes) or count < 1000 or age < 1 then
    return {'INVALID', now, 0}
  end
  local s = begin(keys, now)
  local lane = lane_of(s)
  lane.keep, lane.age, lane.bytes = count, age, bytes
  flush(s)
  return {'OK', now, 0}
end

-- stats: the lane in numbers. Returns {OK, now, 0, forgotten, next due ms or 0, sessions, idle ones,
-- {class, ready, delayed, leased, done, dead, ms since the flow to be served next was served}…}.
-- O(classes).
local function stats(keys, argv)
  local now = now_of(argv)
  if fenced(keys, argv) then return {'INCARNATION', now, 0} end
  local s = begin(keys, now)
  local lane = lane_of(s)
  local reply = {'OK', now, 0, lane.forgot, int(lane.due), live_sessions(s), lane.idle}
  for n = 1, lane.classes do
    local class = class_of(s, n)
    -- Idle queues may stand before the next to serve: a few are looked at.
    local next_ones, wait = redis.call('ZRANGEBYSCORE', keys[ACT], int(n * BAND),
      '(' .. int((n + 1) * BAND), 'LIMIT', 0, 16), 0
    for _, id in ipairs(next_ones) do
      local queue = queue_of(s, n, sub(id, find(id, '|', 1, true) + 1))
      if queue.n > 0 and wait == 0 then wait = math.max(1, now - queue.served) end
    end
    reply[#reply + 1] = {class.name, class.ready, class.delayed, class.leased, int(class.done),
                         class.dead, class.ready > 0 and wait or 0}
  end
  return reply
end

-- inspect: one job, and what keeps it from running. ARGV 3 job.
-- Returns {OK, now, 0, state, class, bytes, error, progress, due ms or end ms or 0, session or "",
-- flow's {leased, waiting, weight, cap, rate, burst, backlog, paused, tokens}, jobs of the class
-- ready}. State: ready delayed leased done dead. Codes: NOT_FOUND. O(log n + sessions · held).
local function inspect(keys, argv)
  local now = now_of(argv)
  if fenced(keys, argv) then return {'INCARNATION', now, 0} end
  local s = begin(keys, now)
  local job = locate(s, argv[3], true)
  if not job then return {'NOT_FOUND', now, 0} end
  if job.done then
    local ms, result = done_of(s, argv[3], job.done)
    return {'OK', now, 0, 'done', '', result, '', '', int(ms), '', {}, 0}
  end
  local class, flow = class_of(s, job.class), flow_of(s, job.flow)
  local at = job.due
  if job.dead then at = redis.call('ZSCORE', keys[DEAD], job.id) end
  allowed(s, flow, 1)
  return {'OK', now, 0, job.state, class.name, job.body, get(s, 'e' .. job.id) or '',
          get(s, 'n' .. job.id) or '', at or '0', job.session and job.session.id or '',
          {flow.leased, flow.waiting, flow.weight, flow.cap, tostring(flow.rate), flow.burst,
           flow.backlog, flow.paused, tostring(flow.tokens)}, class.ready}
end

local function register(name, callback, flags)
  redis.register_function{function_name = 'fl_lane3_' .. name, flags = flags,
    callback = function(keys, argv)
      if not find then
        find, sub, byte, char = string.find, string.sub, string.byte, string.char
        pack, unpack_struct = struct.pack, struct.unpack
      end
      -- An error half way through would leave half a change: Redis takes no write back.
      if #keys ~= KEY_COUNT or argv[1] ~= '0' and (not find(argv[1] or '', '^%d+$') or #argv[1] > 14) then
        return redis.error_reply('ARGUMENT fl_lane3_' .. name .. ': wrong keys or time')
      end
      return callback(keys, argv)
    end}
end

register('enqueue', enqueue, {})
register('tick', tick, {'allow-oom'})
register('find', find_job, {'no-writes'})
register('mine', mine, {'no-writes'})
register('reap', reap, {'allow-oom'})
register('cancel', cancel, {'allow-oom'})
register('replay', replay, {'allow-oom'})
register('purge', purge, {'allow-oom'})
register('drain', drain, {'allow-oom'})
register('limit', limit, {'allow-oom'})
register('keep', keep, {'allow-oom'})
register('sessions', sessions, {'no-writes'})
register('dead', dead, {'no-writes'})
register('stats', stats, {'no-writes'})
register('inspect', inspect, {'no-writes'})
