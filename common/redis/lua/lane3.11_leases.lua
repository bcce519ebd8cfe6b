-- Part 11 of lane3: reading back, lost sessions, reaping.
-- Who holds the job: session, grant and index. `number`: the part it is in, or 0. O(sessions · grants,
-- and the job's grant).
local function holder_of(s, id, number)
  local ids, fields, sessions = redis.call('ZRANGE', s.keys[SES], 0, -1), {}, {}
  for i = 1, #ids do fields[i] = 's' .. ids[i] end
  load(s, fields)
  fields = {}
  for i = 1, #ids do
    local session = session_of(s, ids[i])
    for name in string.gmatch(session and session.grants or '', '%x+') do
      fields[#fields + 1] = 'h' .. name
      sessions[#fields] = session
    end
  end
  for at = 1, #fields, 100 do load(s, {unpack(fields, at, math.min(#fields, at + 99))}) end
  local needle = number > 0 and pack('>I5', number) or char(#id) .. id
  for i = 1, #fields do
    if find(s.text[fields[i]], needle, 1, true) then
      local grant = grant_of(s, sessions[i].id, sub(fields[i], 2), {})
      for at = 1, grant.n do
        if grant.ids[at] == id then return sessions[i], grant, at end
      end
    end
  end
  return nil
end

-- Where a job is: nil; {done = what the hash says}; or a job with `state` ready, delayed, leased, dead,
-- and `due`, or `place` when it stands in a part or a tail. With `holder` also `session`, `grant` and
-- `at` of a leased one.
local function locate(s, id, holder)
  local text = id and redis.call('HGET', s.keys[JOB], id)
  if not text then return nil end
  local mark, job, place = byte(text), nil, nil
  if mark == MARK_DONE then return {done = text} end
  if mark == MARK_PART or mark == MARK_TAIL then
    place = place_named(s, id, text)
    if place then
      job = job_of(id, sub(place.text, place.body, place.behind - 1))
      job.place = place
      local waits = place.chain or get(s, 'p' .. place.number)
      job.state = waits and 'ready' or 'leased'
      if waits or not holder then return job end
    end
  else
    job = job_of(id, text)
    job.due = redis.call('ZSCORE', s.keys[Z], 'j' .. id)
    job.state = job.dead and 'dead' or job.due and 'delayed' or 'ready'
    if job.state ~= 'ready' then return job end
  end
  local session, grant, at = holder_of(s, id, place and place.number or 0)
  if grant then
    job = job_of(id, grant.bodies[at])
    job.state, job.session, job.grant, job.at = 'leased', session, grant, at
  end
  return job
end

-- find: the bytes of a job that is not done. ARGV 3 job. Returns {OK, now, 0, class, bytes}.
-- Codes: NOT_FOUND. O(1); O(sessions · grants) while it is leased and did not leave its queue with a
-- whole part.
local function find_job(keys, argv)
  local now = now_of(argv)
  if fenced(keys, argv) then return {'INCARNATION', now, 0} end
  local s = begin(keys, now)
  local job = locate(s, argv[3], false)
  if not job or job.done then return {'NOT_FOUND', now, 0} end
  return {'OK', now, 0, class_of(s, job.class).name, job.body}
end

-- mine: what the session holds. ARGV 3 session.
-- Returns {OK, now, 0, {job, its bytes, token, …}, {class number, name, …}}; nothing once it has
-- expired. O(held).
local function mine(keys, argv)
  local now = now_of(argv)
  if fenced(keys, argv) then return {'INCARNATION', now, 0} end
  local s, held, names, told = begin(keys, now), {}, {}, {}
  local session = session_of(s, argv[3] or '')
  if not session or session.expiry <= now then return {'OK', now, 0, held, names} end
  for name in string.gmatch(session.grants, '%x+') do
    local grant = grant_of(s, session.id, name, {})
    for i = 1, grant.n do
      if grant.entries[i] and grant.entries[i] ~= '' then
        held[#held + 1], held[#held + 2], held[#held + 3] = grant.ids[i], grant.bodies[i], name .. '-' .. i
        local n = byte(grant.bodies[i], 2)
        if not told[n] then
          told[n] = true
          names[#names + 1], names[#names + 2] = n, class_of(s, n).name
        end
      end
    end
  end
  return {'OK', now, 0, held, names}
end

-- A job that lost its holder goes to the head of its queue with one crash more, or is dead.
local function crashed(s, session, job)
  job.crashes = job.crashes + 1
  if job.crashes >= MAX_CRASHES then
    local last = get(s, 'e' .. job.id)
    return to_dead(s, job, 'its worker was lost ' .. job.crashes .. ' times' ..
      (last and '; last error: ' .. last or ''))
  end
  to_ready(s, job, true)
  if session.noted == 1 then set(s, 'n' .. job.id, false) end
  local flow = flow_of(s, job.flow)
  flow.waiting = flow.waiting + 1
end

local function expire(s, session)
  redis.call('ZREM', s.keys[SES], session.id)
  for name in string.gmatch(session.grants, '%x+') do
    local grant = grant_of(s, session.id, name, {})
    for i = 1, grant.n do
      if grant.entries[i] ~= '' and release(s, session, grant, i) then
        crashed(s, session, job_of(grant.ids[i], grant.bodies[i]))
      end
    end
    forget_grant(s, name, grant.runs)
  end
  local lane = lane_of(s)
  lane.idle = lane.idle - session.idle
  set(s, 's' .. session.id, false)
  set(s, 'd' .. session.id, false)
end

-- Ends up to `limit` sessions that have expired; returns how many.
local function expire_some(s, limit)
  local ended, alive = past(s)
  local n = math.min(limit, #ended)
  for i = 1, n do expire(s, ended[i]) end
  if alive == 0 then return n end
  -- Who lives on is looked for later.
  local scores = {}
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', s.keys[SES], '-inf', int(s.now))) do
    local session = session_of(s, id)
    if session and session.expiry > s.now then
      session.score = session.expiry
      save_session(s, session)
      scores[#scores + 1], scores[#scores + 2] = int(session.score), id
    end
  end
  call_all('ZADD', s.keys[SES], scores)
  return n
end

-- reap: ends expired sessions, wakes delayed jobs that are due, forgets ended jobs that are too old.
-- ARGV 3 limit (1…100). Returns {OK, now, 0, sessions ended + jobs woken}. Anybody may call it at any
-- time. allow-oom. O(limit · held).
local function reap(keys, argv)
  local now = now_of(argv)
  if fenced(keys, argv) then return {'INCARNATION', now, 0} end
  local limit = whole(argv[3], 100)
  if not limit or limit < 1 then return {'INVALID', now, 0} end
  local s = begin(keys, now)
  local moved = promote(s, limit) + expire_some(s, limit)
  local age = lane_of(s).age
  for _ = 1, MAX_BATCH do
    if not forget_first(s, now - age) then break end
  end
  flush_jobs(s)
  local old = redis.call('ZRANGEBYSCORE', keys[DEAD], '-inf', int(now - age), 'LIMIT', 0, limit)
  for _, id in ipairs(old) do
    redis.call('ZREM', keys[DEAD], id)
    local body = redis.call('HGET', keys[JOB], id)
    if body then forget_dead(s, id, job_of(id, body)) end
  end
  local seq = flush(s)
  wake(s, s.ready)
  remind(s)
  return {'OK', now, seq, moved}
end
