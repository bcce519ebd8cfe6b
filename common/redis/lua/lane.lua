-- The machine lane fl:{m<n>}:…: jobs of worker processes under session leases.
--
-- KEYS, the same for every function (names in common/redis/keys.h):
--   1 inc  2 seq  3 ev   as everywhere
--   4 rec   HASH job → JobRecord bytes         5 st    HASH job → packed state, see unpack_job
--   6 err   HASH job → last error              7 note  HASH job → progress text
--   8 ready ZSET, all scores 0, "<kind>|<rank>|<job>": in order of kind, then rank
--   9 z     ZSET job → due ms                 10 ses   ZSET session → lease expiry ms
--  11 sn    HASH session → description        12 held  ZSET, scores 0, "<session>|<token>|<job>"
--  13 dead  ZSET job → ms of death            14 done  ZSET job → ms of its end
--  15 n     HASH "<kind>|<state>" → count     16 drain SET of sessions ("*": all)
--  17 wake  LIST of wake-up tokens
-- A job is in exactly one state: ready, delayed, leased, done, dead. Cancelled jobs are dead ones.
-- Codes: OK; INCARNATION (ARGV[2] is not the slot's); others above each function.
-- Members are found by prefix: '|' never stands in a kind, session, token or job, and '}' is the
-- character after it, so "[x|" … "(x}" spans what begins with "x|".

local REC, ST, ERR, NOTE, READY, Z, SES, SN, HELD, DEAD, DONE, N, DRAIN, WAKE =
  4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17

local MAX_ATTEMPTS = 5         -- failures of the handler
local MAX_CRASHES = 3          -- leases lost with their process
local BACKOFF_BASE_MS = 2000   -- full jitter below base · 2^(attempts-1), capped
local BACKOFF_CAP_MS = 300000
local MAX_HELD = 64            -- jobs of one session
local MAX_BATCH = 64           -- acks, nacks, notes in one call, each
local MAX_WANT = 16
local MAX_KINDS = 16
local MAX_LIVE = 100000        -- jobs that have not ended
local MAX_SESSIONS = 4096
local MAX_WAKE = 64
local KEEP_ENDED = 10000       -- done and dead jobs remembered, each
local PROMOTE = 100

local function unpack_job(text)
  if not text then return nil end
  local state, kind, rank, attempts, crashes, session, token =
    string.match(text, '^([^|]*)|([^|]*)|([^|]*)|([^|]*)|([^|]*)|([^|]*)|([^|]*)$')
  return {state = state, kind = kind, rank = rank, attempts = tonumber(attempts),
          crashes = tonumber(crashes), session = session, token = token}
end

local function job_of(keys, job) return unpack_job(redis.call('HGET', keys[ST], job)) end

local function count(keys, job, state, by)
  redis.call('HINCRBY', keys[N], job.kind .. '|' .. state, by)
end

-- Puts the job into `state` and stores it.
local function shift(keys, id, job, state)
  if job.state ~= state then
    if job.state then count(keys, job, job.state, -1) end
    count(keys, job, state, 1)
    job.state = state
  end
  if state ~= 'leased' then job.session, job.token = '', '' end
  redis.call('HSET', keys[ST], id, table.concat({state, job.kind, job.rank, int(job.attempts),
    int(job.crashes), job.session, job.token}, '|'))
end

-- Rank: priority (higher first), then head ('0') or queue ('1'), then time of enqueueing.
local function rank_of(priority, now) return string.format('%04d1%014.0f', 1000 - priority, now) end

local function to_ready(keys, id, job, head)
  if head then job.rank = string.sub(job.rank, 1, 4) .. '0' .. string.sub(job.rank, 6) end
  redis.call('ZADD', keys[READY], 0, job.kind .. '|' .. job.rank .. '|' .. id)
  shift(keys, id, job, 'ready')
end

-- One event of a job that ended. The follower makes a JobFinished of it.
local function finished(keys, now, id, job, dead, result, err)
  return emit(keys, now, 'job', 'job', id, 'rec', redis.call('HGET', keys[REC], id) or '',
    'res', result, 'dead', dead, 'err', err, 'attempts', int(job.attempts),
    'crashes', int(job.crashes))
end

-- Forgets the oldest ended jobs past the bound; their ids may then be enqueued anew.
local function forget(keys, zset, state)
  if redis.call('ZCARD', keys[zset]) <= KEEP_ENDED then return end
  local oldest = redis.call('ZPOPMIN', keys[zset], 2)
  for i = 1, #oldest, 2 do
    local job = job_of(keys, oldest[i])
    if job and state == 'dead' then count(keys, job, 'dead', -1) end
    for _, hash in ipairs({REC, ST, ERR, NOTE}) do redis.call('HDEL', keys[hash], oldest[i]) end
  end
end

local function to_dead(keys, now, id, job, err)
  redis.call('HSET', keys[ERR], id, err)
  redis.call('ZADD', keys[DEAD], now, id)
  local seq = finished(keys, now, id, job, '1', '', err)
  shift(keys, id, job, 'dead')
  forget(keys, DEAD, 'dead')
  return seq
end

-- Wakes idle sessions: at most one token a session.
local function wake(keys, jobs)
  local room = math.min(redis.call('ZCARD', keys[SES]), MAX_WAKE) - redis.call('LLEN', keys[WAKE])
  for _ = 1, math.min(jobs, room) do redis.call('LPUSH', keys[WAKE], '1') end
end

-- Delayed jobs that are due become ready; returns how many. O(limit · log n).
local function promote(keys, now, limit)
  local due = redis.call('ZRANGEBYSCORE', keys[Z], '-inf', int(now), 'LIMIT', 0, limit)
  for _, id in ipairs(due) do
    redis.call('ZREM', keys[Z], id)
    to_ready(keys, id, job_of(keys, id), false)
  end
  return #due
end

-- The session's {member, token, id}, at most MAX_HELD.
local function held_by(keys, session)
  local list = {}
  local members = redis.call('ZRANGEBYLEX', keys[HELD], '[' .. session .. '|',
    '(' .. session .. '}', 'LIMIT', 0, MAX_HELD)
  for _, member in ipairs(members) do
    local token, id = string.match(member, '^[^|]*|([^|]*)|(.*)$')
    list[#list + 1] = {member = member, token = token, id = id}
  end
  return list
end

-- The job a live grant of the session is for: nil when the token is not (any more) its.
local function live(keys, session, grant)
  local job = job_of(keys, grant.id)
  if job and job.state == 'leased' and job.token == grant.token and job.session == session then
    return job
  end
  return nil
end

-- Takes a grant off the session; returns id and job when it was live, else nil.
local function release(keys, session, grants, token)
  local grant = grants[token]
  if not grant then return nil end
  grants[token] = nil
  redis.call('ZREM', keys[HELD], grant.member)
  local job = live(keys, session, grant)
  if not job then return nil end
  return grant.id, job
end

-- enqueue: adds a job that is not there in any state.
-- ARGV 3 job, 4 kind, 5 priority (-1000…1000, higher first), 6 JobRecord bytes.
-- Returns {OK, now, 0, 1 added | 0 was there}. Codes: FULL (too many jobs that have not ended),
-- INVALID. Refused by Redis itself at maxmemory. O(log n).
local function enqueue(keys, argv)
  local now = now_of(argv)
  if fenced(keys, argv) then return {'INCARNATION', now, 0} end
  local id, kind, priority = argv[3], argv[4], tonumber(argv[5])
  if not priority or math.abs(priority) > 1000 or id == '' or kind == '' or
     string.find(id .. kind, '|', 1, true) then
    return {'INVALID', now, 0}
  end
  if redis.call('HEXISTS', keys[ST], id) == 1 then return {'OK', now, 0, 0} end
  if redis.call('HLEN', keys[REC]) - redis.call('ZCARD', keys[DEAD]) >= MAX_LIVE then
    return {'FULL', now, 0}
  end
  local job = {kind = kind, rank = rank_of(priority, now), attempts = 0, crashes = 0}
  redis.call('HSET', keys[REC], id, argv[6])
  to_ready(keys, id, job, false)
  wake(keys, 1)
  return {'OK', now, 0, 1}
end

local function ack(keys, now, session, grants, token, result)
  local id, job = release(keys, session, grants, token)
  if not id then return nil end
  local seq = finished(keys, now, id, job, '0', result, '')
  shift(keys, id, job, 'done')
  redis.call('ZADD', keys[DONE], now, id)
  for _, hash in ipairs({REC, ERR, NOTE}) do redis.call('HDEL', keys[hash], id) end
  forget(keys, DONE, 'done')
  return seq
end

local function nack(keys, now, session, grants, token, preempted, jitter, err)
  local id, job = release(keys, session, grants, token)
  if not id then return nil end
  if preempted == '1' then
    to_ready(keys, id, job, true)
    wake(keys, 1)
    return 0
  end
  job.attempts = job.attempts + 1
  if job.attempts >= MAX_ATTEMPTS then return to_dead(keys, now, id, job, err) end
  local bound = math.min(BACKOFF_CAP_MS, BACKOFF_BASE_MS * 2 ^ (job.attempts - 1))
  redis.call('HSET', keys[ERR], id, err)
  redis.call('ZADD', keys[Z], now + math.floor(bound * jitter), id)
  shift(keys, id, job, 'delayed')
  return 0
end

-- Leases up to #tokens ready jobs of the kinds, best rank first over all kinds.
local function lease(keys, session, kinds, tokens)
  local best = {}
  for _, kind in ipairs(kinds) do
    local members = redis.call('ZRANGEBYLEX', keys[READY], '[' .. kind .. '|', '(' .. kind .. '}',
      'LIMIT', 0, #tokens)
    for _, member in ipairs(members) do
      local rank, id = string.match(member, '^[^|]*|([^|]*)|(.*)$')
      best[#best + 1] = {member = member, order = rank .. '|' .. id, id = id}
    end
  end
  table.sort(best, function(a, b) return a.order < b.order end)
  local leases = {}
  for i = 1, math.min(#best, #tokens) do
    local id = best[i].id
    local job = job_of(keys, id)
    redis.call('ZREM', keys[READY], best[i].member)
    redis.call('ZADD', keys[HELD], 0, session .. '|' .. tokens[i] .. '|' .. id)
    job.session, job.token = session, tokens[i]
    shift(keys, id, job, 'leased')
    leases[i] = {redis.call('HGET', keys[REC], id), tokens[i], job.attempts, job.crashes}
  end
  return leases
end

-- Reads the lists of a tick: each is a count and then that many groups of `width` arguments.
local function take(argv, at, width, most)
  local n = tonumber(argv[at])
  if not n or n < 0 or n > most or at + n * width > #argv then return nil, at end
  local groups = {}
  for i = 1, n do
    local group = {}
    for j = 1, width do group[j] = argv[at + (i - 1) * width + j] end
    groups[i] = group
  end
  return groups, at + n * width + 1
end

local function parse_tick(argv)
  local tick = {session = argv[3], new = argv[4] == '1', description = argv[5],
                ttl = tonumber(argv[6])}
  local at = 7
  tick.kinds, at = take(argv, at, 1, MAX_KINDS)
  if tick.kinds then tick.tokens, at = take(argv, at, 1, MAX_WANT) end
  if tick.tokens then tick.acks, at = take(argv, at, 2, MAX_BATCH) end
  if tick.acks then tick.nacks, at = take(argv, at, 4, MAX_BATCH) end
  if tick.nacks then tick.notes, at = take(argv, at, 2, MAX_BATCH) end
  if not tick.notes or not tick.ttl or tick.ttl <= 0 then return nil end
  if tick.session == '' or string.find(tick.session, '|', 1, true) then return nil end
  for _, one in ipairs(tick.nacks) do
    one[3] = tonumber(one[3])
    if not one[3] or one[3] < 0 or one[3] > 1 then return nil end
  end
  return tick
end

-- Notes, acks and nacks of a tick; returns the tokens that were not live and the last event's seq.
local function settle(keys, now, tick, grants)
  local lost, seq = {}, 0
  for _, one in ipairs(tick.notes) do
    local grant = grants[one[1]]
    if grant and live(keys, tick.session, grant) then
      redis.call('HSET', keys[NOTE], grant.id, one[2])
    else
      lost[#lost + 1] = one[1]
    end
  end
  for _, one in ipairs(tick.acks) do
    local wrote = ack(keys, now, tick.session, grants, one[1], one[2])
    if wrote then seq = wrote else lost[#lost + 1] = one[1] end
  end
  for _, one in ipairs(tick.nacks) do
    local wrote = nack(keys, now, tick.session, grants, one[1], one[2], one[3], one[4])
    if not wrote then lost[#lost + 1] = one[1] elseif wrote > 0 then seq = wrote end
  end
  return lost, seq
end

-- tick: heartbeat, notes, acks, nacks and lease of a session in one call.
-- ARGV 3 session, 4 "1" if the session may be new, 5 description, 6 lease ms, then five lists, each
-- its length and its items: kinds; tokens for what may be leased (random, the caller's: one a
-- wanted job); acks (token, JobResult bytes); nacks (token, "1" if preempted, jitter in [0, 1],
-- error); notes (token, text). Acks, nacks and notes of tokens that are not live change nothing.
-- Returns {OK, now, seq of the last event or 0, drain 0 | 1, cancelled tokens, lost tokens,
-- leases {JobRecord bytes, token, attempts, crashes}}. Codes: FENCED (the session has expired or is
-- unknown), FULL (too many sessions), INVALID. allow-oom: a full Redis is emptied through it.
-- O((held + batch + kinds · want) · log n).
local function tick(keys, argv)
  local now = now_of(argv)
  if fenced(keys, argv) then return {'INCARNATION', now, 0} end
  local request = parse_tick(argv)
  if not request then return {'INVALID', now, 0} end
  local expiry = tonumber(redis.call('ZSCORE', keys[SES], request.session) or nil)
  if expiry and expiry <= now or not expiry and not request.new then return {'FENCED', now, 0} end
  if not expiry and redis.call('ZCARD', keys[SES]) >= MAX_SESSIONS then return {'FULL', now, 0} end

  redis.call('ZADD', keys[SES], now + request.ttl, request.session)
  redis.call('HSET', keys[SN], request.session, request.description)
  local grants, held = {}, held_by(keys, request.session)
  for _, grant in ipairs(held) do grants[grant.token] = grant end
  local lost, seq = settle(keys, now, request, grants)
  local cancelled, holding = {}, 0
  for token, grant in pairs(grants) do
    holding = holding + 1
    if not live(keys, request.session, grant) then cancelled[#cancelled + 1] = token end
  end
  table.sort(cancelled)
  local drain = redis.call('SISMEMBER', keys[DRAIN], '*') == 1 or
    redis.call('SISMEMBER', keys[DRAIN], request.session) == 1
  local leases = {}
  local promoted = promote(keys, now, PROMOTE)
  if not drain and #request.tokens > 0 then
    local kinds, tokens = {}, {}
    for i, one in ipairs(request.kinds) do kinds[i] = one[1] end
    for i = 1, math.min(#request.tokens, MAX_HELD - holding) do tokens[i] = request.tokens[i][1] end
    leases = lease(keys, request.session, kinds, tokens)
  end
  if promoted > #leases then wake(keys, promoted - #leases) end
  return {'OK', now, seq, drain and 1 or 0, cancelled, lost, leases}
end

-- mine: what the session holds. ARGV 3 session.
-- Returns {OK, now, 0, {JobRecord bytes, token, attempts, crashes}…}; none once it has expired.
-- O(held · log n).
local function mine(keys, argv)
  local now = now_of(argv)
  if fenced(keys, argv) then return {'INCARNATION', now, 0} end
  local expiry = tonumber(redis.call('ZSCORE', keys[SES], argv[3]) or nil)
  local reply = {'OK', now, 0}
  if not expiry or expiry <= now then return reply end
  for _, grant in ipairs(held_by(keys, argv[3])) do
    local job = live(keys, argv[3], grant)
    if job then
      reply[#reply + 1] = {redis.call('HGET', keys[REC], grant.id), grant.token, job.attempts,
                           job.crashes}
    end
  end
  return reply
end

-- Ends one session; its jobs go to the head of the queue with one crash more, or are dead.
local function expire(keys, now, session)
  local requeued = 0
  for _, grant in ipairs(held_by(keys, session)) do
    redis.call('ZREM', keys[HELD], grant.member)
    local job = live(keys, session, grant)
    if job then
      job.crashes = job.crashes + 1
      if job.crashes >= MAX_CRASHES then
        local last = redis.call('HGET', keys[ERR], grant.id)
        to_dead(keys, now, grant.id, job, 'its worker was lost ' .. int(job.crashes) .. ' times' ..
          (last and '; last error: ' .. last or ''))
      else
        to_ready(keys, grant.id, job, true)
        requeued = requeued + 1
      end
    end
  end
  redis.call('ZREM', keys[SES], session)
  redis.call('HDEL', keys[SN], session)
  redis.call('SREM', keys[DRAIN], session)
  return requeued
end

-- reap: ends expired sessions and wakes delayed jobs that are due. ARGV 3 limit (1…100).
-- Returns {OK, now, 0, sessions ended + jobs woken}. Anybody may call it at any time. allow-oom.
-- O(limit · held · log n).
local function reap(keys, argv)
  local now = now_of(argv)
  if fenced(keys, argv) then return {'INCARNATION', now, 0} end
  local limit = tonumber(argv[3])
  if not limit or limit < 1 or limit > 100 then return {'INVALID', now, 0} end
  local ready = promote(keys, now, limit)
  local ended = redis.call('ZRANGEBYSCORE', keys[SES], '-inf', int(now), 'LIMIT', 0, limit)
  local moved = ready + #ended
  for _, session in ipairs(ended) do ready = ready + expire(keys, now, session) end
  if ready > 0 then wake(keys, ready) end
  return {'OK', now, 0, moved}
end

-- cancel: a job that has not ended is dead with the error "cancelled"; who holds it is told at
-- its next tick. ARGV 3 job. Returns {OK, now, seq}. Codes: NOT_FOUND, TERMINAL. allow-oom.
-- O(log n).
local function cancel(keys, argv)
  local now = now_of(argv)
  if fenced(keys, argv) then return {'INCARNATION', now, 0} end
  local id = argv[3]
  local job = job_of(keys, id)
  if not job then return {'NOT_FOUND', now, 0} end
  if job.state == 'done' or job.state == 'dead' then return {'TERMINAL', now, 0} end
  redis.call('ZREM', keys[READY], job.kind .. '|' .. job.rank .. '|' .. id)
  redis.call('ZREM', keys[Z], id)
  return {'OK', now, to_dead(keys, now, id, job, 'cancelled')}
end

-- replay: a dead job is ready again with attempts and crashes at zero. ARGV 3 job.
-- Returns {OK, now, 0}. Codes: NOT_FOUND, NOT_DEAD. allow-oom. O(log n).
local function replay(keys, argv)
  local now = now_of(argv)
  if fenced(keys, argv) then return {'INCARNATION', now, 0} end
  local id = argv[3]
  local job = job_of(keys, id)
  if not job then return {'NOT_FOUND', now, 0} end
  if job.state ~= 'dead' then return {'NOT_DEAD', now, 0} end
  redis.call('ZREM', keys[DEAD], id)
  redis.call('HDEL', keys[ERR], id)
  redis.call('HDEL', keys[NOTE], id)
  job.attempts, job.crashes = 0, 0
  job.rank = string.sub(job.rank, 1, 4) .. '1' .. string.format('%014.0f', now)
  to_ready(keys, id, job, false)
  wake(keys, 1)
  return {'OK', now, 0}
end

-- drain: asks a live session to drain, "*" for all sessions there will be until undone.
-- ARGV 3 session or "*", 4 "1" to drain or "0" to undo. Returns {OK, now, 0, live sessions asked}.
-- Codes: NOT_FOUND. allow-oom. O(log n).
local function drain(keys, argv)
  local now = now_of(argv)
  if fenced(keys, argv) then return {'INCARNATION', now, 0} end
  local session = argv[3]
  if argv[4] ~= '1' then
    redis.call('SREM', keys[DRAIN], session)
    return {'OK', now, 0, 0}
  end
  local asked = redis.call('ZCOUNT', keys[SES], '(' .. int(now), '+inf')
  if session ~= '*' then
    local expiry = tonumber(redis.call('ZSCORE', keys[SES], session) or nil)
    if not expiry or expiry <= now then return {'NOT_FOUND', now, 0} end
    asked = 1
  end
  redis.call('SADD', keys[DRAIN], session)
  return {'OK', now, 0, asked}
end

-- sessions: the live sessions. ARGV 3 limit (1…1000).
-- Returns {OK, now, 0, {session, expiry ms, description, jobs held, progress of the first}…}.
-- O(limit · held · log n).
local function sessions(keys, argv)
  local now = now_of(argv)
  if fenced(keys, argv) then return {'INCARNATION', now, 0} end
  local limit = tonumber(argv[3])
  if not limit or limit < 1 or limit > 1000 then return {'INVALID', now, 0} end
  local reply = {'OK', now, 0}
  local list = redis.call('ZRANGEBYSCORE', keys[SES], '(' .. int(now), '+inf', 'WITHSCORES',
    'LIMIT', 0, limit)
  for i = 1, #list, 2 do
    local held = held_by(keys, list[i])
    local note = held[1] and redis.call('HGET', keys[NOTE], held[1].id) or ''
    reply[#reply + 1] = {list[i], list[i + 1], redis.call('HGET', keys[SN], list[i]) or '', #held,
                         note}
  end
  return reply
end

-- dead: dead jobs, the latest first. ARGV 3 offset, 4 limit (1…1000).
-- Returns {OK, now, 0, {job, error, attempts, crashes, ms of death}…}. O(log n + offset + limit).
local function dead(keys, argv)
  local now = now_of(argv)
  if fenced(keys, argv) then return {'INCARNATION', now, 0} end
  local offset, limit = tonumber(argv[3]), tonumber(argv[4])
  if not offset or offset < 0 or not limit or limit < 1 or limit > 1000 then
    return {'INVALID', now, 0}
  end
  local reply = {'OK', now, 0}
  local list = redis.call('ZREVRANGE', keys[DEAD], offset, offset + limit - 1, 'WITHSCORES')
  for i = 1, #list, 2 do
    local job = job_of(keys, list[i])
    reply[#reply + 1] = {list[i], redis.call('HGET', keys[ERR], list[i]) or '', job.attempts,
                         job.crashes, list[i + 1]}
  end
  return reply
end

local function register(name, callback, flags)
  redis.register_function{function_name = 'fl_lane_' .. name, callback = callback, flags = flags}
end

register('enqueue', enqueue, {})
register('tick', tick, {'allow-oom'})
register('mine', mine, {'no-writes'})
register('reap', reap, {'allow-oom'})
register('cancel', cancel, {'allow-oom'})
register('replay', replay, {'allow-oom'})
register('drain', drain, {'allow-oom'})
register('sessions', sessions, {'no-writes'})
register('dead', dead, {'no-writes'})
