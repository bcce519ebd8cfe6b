-- Part 5 of lane2: reading back, lost sessions, reaping.
-- find: the bytes of a job that is not done. ARGV 3 job. Returns {OK, now, 0, class, bytes}.
-- Codes: NOT_FOUND. O(1).
local function find_job(keys, argv)
  local now = now_of(argv)
  if fenced(keys, argv) then return {'INCARNATION', now, 0} end
  local s = begin(keys, now)
  local job = read_job(s, argv[3] or '')
  if not job or job.done then return {'NOT_FOUND', now, 0} end
  return {'OK', now, 0, class_of(s, job.class).name, job.text}
end

-- mine: what the session holds. ARGV 3 session.
-- Returns {OK, now, 0, {job, its bytes, token, …}, {class number, name, …}}; nothing once it has
-- expired. O(held).
local function mine(keys, argv)
  local now = now_of(argv)
  if fenced(keys, argv) then return {'INCARNATION', now, 0} end
  local s, held, names, said = begin(keys, now), {}, {}, {}
  local session = session_of(s, argv[3])
  if not session or session.expiry <= now then return {'OK', now, 0, held, names} end
  local grants = {}
  for _, name in ipairs(session.grants) do
    local grant, wanted = grant_of(s, session.id, name, grants), {}
    for _, entry in ipairs(grant.entries) do
      if entry ~= '' then wanted[split(entry)] = true end
    end
    local jobs = read_jobs(s, wanted)
    for i, entry in ipairs(grant.entries) do
      local job = entry ~= '' and jobs[split(entry)]
      if job and fresh(job, entry) then
        held[#held + 1], held[#held + 2], held[#held + 3] = job.id, job.text, name .. '-' .. i
        if not said[job.class] then
          said[job.class] = true
          names[#names + 1], names[#names + 2] = job.class, class_of(s, job.class).name
        end
      end
    end
  end
  return {'OK', now, 0, held, names}
end

-- Ends one session; its jobs go to the head of the queue with one crash more, or are dead.
local function expire(s, id)
  local session, grants = session_of(s, id), {}
  redis.call('ZREM', s.keys[SES], id)
  if not session then return end
  for _, name in ipairs(session.grants) do
    local grant, wanted = grant_of(s, id, name, grants), {}
    for _, entry in ipairs(grant.entries) do
      if entry ~= '' then wanted[split(entry)] = true end
    end
    local jobs = read_jobs(s, wanted)
    for i, entry in ipairs(grant.entries) do
      local place = {grant = grant, i = i, entry = entry, id = (split(entry))}
      local job = entry ~= '' and release(s, session, place, jobs)
      if job then
        reopen(job).crashes = job.crashes + 1
        if job.crashes >= MAX_CRASHES then
          local last = get(s, 'e' .. job.id)
          to_dead(s, job, 'its worker was lost ' .. job.crashes .. ' times' ..
            (last and '; last error: ' .. last or ''))
        else
          save_job(s, job)
          to_ready(s, job, true)
          flow_of(s, job.flow).waiting = flow_of(s, job.flow).waiting + 1
        end
      end
    end
    set(s, 'h' .. name, false)
  end
  if session.idle then add(s, 'idle', -1) end
  set(s, 's' .. id, false)
  set(s, 'd' .. id, false)
end

-- reap: ends expired sessions, wakes delayed jobs that are due, forgets ended jobs that are too old.
-- ARGV 3 limit (1…100). Returns {OK, now, 0, sessions ended + jobs woken}. Anybody may call it at any
-- time. allow-oom. O(limit · held).
local function reap(keys, argv)
  local now = now_of(argv)
  if fenced(keys, argv) then return {'INCARNATION', now, 0} end
  local limit = tonumber(argv[3] or nil)
  if not limit or limit < 1 or limit > 100 then return {'INVALID', now, 0} end
  local s = begin(keys, now)
  local moved = promote(s, limit)
  local ended = redis.call('ZRANGEBYSCORE', keys[SES], '-inf', int(now), 'LIMIT', 0, limit)
  for _, id in ipairs(ended) do expire(s, id) end
  if number(s, 'ended') > 0 then forget_old(s) end
  local old = redis.call('ZRANGEBYSCORE', keys[DEAD], '-inf', int(now - number(s, 'age')), 'LIMIT',
    0, limit)
  for _, id in ipairs(old) do
    redis.call('ZREM', keys[DEAD], id)
    local job = read_job(s, id)
    if job and job.dead then forget_dead(s, id, job) end
  end
  local seq = flush(s)
  wake(s, s.ready)
  remind(s)
  return {'OK', now, seq, moved + #ended}
end
