-- Part 8 of lane3: what a tick gives back.
-- ---- Acks, nacks, notes --------------------------------------------------------------------------
-- Counts n jobs of a class and flow that ended.
local function settle_run(s, n, class, flow)
  local of = class_of(s, class)
  of.leased, of.done = of.leased - n, of.done + n
  s.told[class] = true
  released(s, flow, n)
end

-- The jobs `ids` are done.
local function end_jobs(s, ids, texts, results, ended)
  local where, jobs, n = done_hint(lane_of(s)), s.jobs, #s.jobs
  for i = 1, #ids do
    jobs[n + 1], jobs[n + 2] = ids[i], where
    n = n + 2
  end
  tell(s, texts, results)
  ended[#ended + 1] = {ids = ids, results = results}
end

-- What of a job is kept apart from it goes when it is done.
local function clear(s, session, id, attempts)
  if attempts > 0 then set(s, 'e' .. id, false) end
  if session.noted == 1 then set(s, 'n' .. id, false) end
end

-- Ends all jobs of a grant that nobody has taken anything out of. False when it is not such a one.
-- The hottest path there is: what it does for each job is to find its id.
local function settle_whole(s, ack, session, ended)
  local runs = ack.runs
  if not runs then return false end
  local ids, texts, n, noted = {}, {}, 0, session.noted == 1
  for i = 1, #runs do
    local run, at = runs[i], 1
    local text = run.text or get(s, 'q' .. run.number)
    texts[i] = text
    settle_run(s, run.n, run.class, run.flow)
    for j = n + 1, n + run.n do
      local id, size, _, attempts, from = unpack_struct(WALK, text, at)
      ids[j] = id
      at = from - 5 + size
      if noted or attempts > 0 then clear(s, session, id, attempts) end
    end
    n = n + run.n
  end
  end_jobs(s, ids, texts, ack.results, ended)
  forget_grant(s, ack.grant, runs)
  drop_grant(session, ack.grant)
  session.held = session.held - n
  return true
end

-- Finds the acks of whole grants, of each only the first, and reads their parts.
local function find_whole(s, request, session, grants)
  local fields = {}
  for i = 1, #request.acks do
    local ack = request.acks[i]
    local text = ack.first == 1 and not grants[ack.grant] and get(s, 'h' .. ack.grant)
    if text then
      local owner, n, _, whole, count, at = unpack_struct(GRANT, text)
      if owner == session.id and whole == 1 and ack.n == n then
        ack.runs = runs_of(text, at, count)
        for j = 1, count do
          local run = ack.runs[j]
          fields[#fields + 1] = 'f' .. run.flow
          if run.number > 0 then fields[#fields + 1] = 'q' .. run.number end
        end
      end
    end
  end
  local lane = lane_of(s)
  if #fields > 0 and lane.ended >= lane.keep then fields[#fields + 1] = 'b' .. lane.first end
  load(s, fields)
end

-- Ends the jobs of an ack one by one; names the tokens that are not live.
local function settle_some(s, ack, session, grants, lost, ended)
  local grant, ids, entries, live = grant_of(s, session.id, ack.grant, grants), {}, {}, {}
  for at = 1, ack.n do
    local i = ack.indices and ack.indices[at] or ack.first + at - 1
    local held = grant and i >= 1 and i <= grant.n and grant.entries[i] ~= ''
    local entry = held and grant.entries[i]
    if held and release(s, session, grant, i) then
      local id, body = grant.ids[i], grant.bodies[i]
      local class = owner_of(body)
      -- release() has counted it out of the leased ones.
      class_of(s, class).done = class_of(s, class).done + 1
      s.told[class] = true
      ids[#ids + 1], entries[#entries + 1], live[at] = id, entry, true
      clear(s, session, id, byte(body, 5))
    else
      lost[#lost + 1] = ack.grant .. '-' .. int(i)
    end
  end
  if #ids == 0 then return end
  local results = ack.results
  if #ids < ack.n then results = some_of(results, ack.n, function(at) return live[at] end, true) end
  end_jobs(s, ids, {table.concat(entries)}, results, ended)
end

-- Ends what is acked: the jobs of one call are remembered together.
local function settle_acks(s, request, session, grants, lost)
  local ended = {}
  find_whole(s, request, session, grants)
  for i = 1, #request.acks do
    local ack = request.acks[i]
    if not get(s, 'h' .. ack.grant) or not settle_whole(s, ack, session, ended) then
      settle_some(s, ack, session, grants, lost, ended)
    end
  end
  if #ended == 0 then return end
  local ids, results = ended[1].ids, ended[1].results
  if #ended > 1 then
    local sizes, texts = {}, {}
    ids = {}
    for i = 1, #ended do
      local one = ended[i]
      local n = #one.ids
      for j = 1, n do ids[#ids + 1] = one.ids[j] end
      sizes[i], texts[i] = sub(one.results, 1, 3 * n), sub(one.results, 3 * n + 1)
    end
    results = table.concat(sizes) .. table.concat(texts)
  end
  remember(s, ids, results, request.longest)
end

local function nack(s, session, job, preempted, jitter, err)
  if preempted then
    to_ready(s, job, true)
  else
    job.attempts = job.attempts + 1
    if job.attempts >= MAX_ATTEMPTS then return to_dead(s, job, err) end  -- with its last note
    local bound = math.min(BACKOFF_CAP_MS, BACKOFF_BASE_MS * 2 ^ (job.attempts - 1))
    save_body(s, job)
    set(s, 'e' .. job.id, err)
    delay(s, s.now + math.max(1, math.floor(bound * jitter)), 'j' .. job.id)
    local class = class_of(s, job.class)
    class.delayed = class.delayed + 1
  end
  if session.noted == 1 then set(s, 'n' .. job.id, false) end
  local flow = flow_of(s, job.flow)
  flow.waiting = flow.waiting + 1
end

-- Notes, acks and nacks of a tick; returns the tokens that were not live.
local function settle(s, request, session, grants)
  local lost = {}
  for i = 1, #request.notes do
    local token, text = request.notes[i][1], request.notes[i][2]
    local grant, at = place_of(s, session, token, grants)
    if grant and grant.entries[at] then
      set(s, 'n' .. grant.ids[at], text)
      session.noted = 1
    else
      lost[#lost + 1] = token
    end
  end
  settle_acks(s, request, session, grants, lost)
  for i = 1, #request.nacks do
    local token, preempted, jitter, err = unpack(request.nacks[i])
    local grant, at = place_of(s, session, token, grants)
    if grant and release(s, session, grant, at) then
      nack(s, session, job_of(grant.ids[at], grant.bodies[at]), preempted == '1', jitter, err)
    else
      lost[#lost + 1] = token
    end
  end
  for _, grant in pairs(grants) do save_grant(s, session, grant) end
  return lost
end
