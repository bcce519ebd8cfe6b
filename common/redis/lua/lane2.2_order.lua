-- Part 2 of lane2: queues, flows, and whose turn it is.
-- ---- Queues --------------------------------------------------------------------------------------
local function part_of(queue, priority)
  for i, part in ipairs(queue.parts) do
    if part.priority == priority then return part end
    if part.priority < priority then
      table.insert(queue.parts, i, {priority = priority, first = FIRST_PART, last = FIRST_PART - 1,
                                    n = 0, dated = 0})
      return queue.parts[i]
    end
  end
  queue.parts[#queue.parts + 1] =
    {priority = priority, first = FIRST_PART, last = FIRST_PART - 1, n = 0, dated = 0}
  return queue.parts[#queue.parts]
end

local function part_field(queue, part, n) return 'q' .. queue.id .. '|' .. part.priority .. '|' .. int(n) end

local function dated_prefix(queue, priority)
  return queue.id .. '|' .. string.format('%04d', 1000 - priority) .. '|'
end

-- Puts a queue where the lease finds it, at its pass or at the class's time when it was idle.
local function activate(s, queue)
  local class = class_of(s, queue.class)
  if queue.n == 0 then
    queue.pass = math.max(queue.pass, class.time)
    queue.served = s.now
  end
  if queue.fresh or queue.n == 0 then
    if not find(flow_of(s, queue.flow).parked, char(queue.class), 1, true) then
      s.act[queue.id] = queue.class * BAND + queue.pass
    end
  end
  queue.fresh = false
end

-- Appends entries of one priority. O(entries).
local function append(s, queue, priority, entries)
  activate(s, queue)
  local part, at = part_of(queue, priority), 1
  if part.n > 0 then
    local field = part_field(queue, part, part.last)
    local tail = get(s, field)
    if #tail < TAIL_BYTES then
      at = math.min(#entries, CHUNK) + 1
      set(s, field, tail .. table.concat(entries, '\n', 1, at - 1) .. '\n')
    end
  end
  while at <= #entries do
    local to = math.min(#entries, at + CHUNK - 1)
    part.last = part.last + 1
    set(s, part_field(queue, part, part.last), table.concat(entries, '\n', at, to) .. '\n')
    at = to + 1
  end
  part.n = part.n + #entries
  queue.n = queue.n + #entries
end

local function to_ready(s, job, head)
  local queue = queue_of(s, job.class, job.flow)
  local entry = entry_of(job)
  if job.deadline > 0 then
    activate(s, queue)
    local part = part_of(queue, job.priority)
    redis.call('ZADD', s.keys[DL], 0, dated_prefix(queue, job.priority) ..
      string.format('%015.0f', job.deadline) .. '|' .. entry)
    part.dated = part.dated + 1
    queue.n = queue.n + 1
  elseif head then
    activate(s, queue)
    local part = part_of(queue, job.priority)
    part.first = part.first - 1
    set(s, part_field(queue, part, part.first), entry .. '\n')
    part.n = part.n + 1
    queue.n = queue.n + 1
  else
    append(s, queue, job.priority, {entry})
  end
  local class = class_of(s, job.class)
  class.ready = class.ready + 1
  s.ready = s.ready + 1
end

-- Takes up to n entries off a queue, in order, and appends them to a list; returns how many they
-- are. O(n + parts).
local function take_entries(s, queue, n, got)
  local count, base = 0, #got
  while queue.parts[1] and count < n do
    local part = queue.parts[1]
    if part.dated > 0 then
      local prefix = dated_prefix(queue, part.priority)
      local members = redis.call('ZRANGEBYLEX', s.keys[DL], '[' .. prefix,
        '(' .. sub(prefix, 1, -2) .. '}', 'LIMIT', 0, n - count)
      redis.call('ZREM', s.keys[DL], unpack(members))
      for _, member in ipairs(members) do
        count = count + 1
        got[base + count] = sub(member, #prefix + 17)
      end
      part.dated = part.dated - #members
    end
    while part.n > 0 and count < n do
      local field = part_field(queue, part, part.first)
      local text, at = get(s, field), 1
      local before, length = count, #text
      while at <= length and count < n do
        local stop = find(text, '\n', at, true)
        count = count + 1
        got[base + count] = sub(text, at, stop - 1)
        at = stop + 1
      end
      part.n = part.n - (count - before)
      if at > length then
        set(s, field, false)
        part.first = part.first + 1
      else
        set(s, field, sub(text, at))
      end
    end
    if part.n + part.dated == 0 then table.remove(queue.parts, 1) end
  end
  queue.n = queue.n - count
  return count
end

local function delay(s, due, entry)
  s.due[#s.due + 1] = int(due)
  s.due[#s.due + 1] = entry
  s.soonest = math.min(s.soonest or due, due)
end

-- ---- Flows ---------------------------------------------------------------------------------------
-- Takes a flow's queue out of the order until unpark; a limit was reached or it is paused.
local function park(s, queue, flow)
  flow.parked = flow.parked .. char(queue.class)
  s.act[queue.id] = nil
  s.unact[#s.unact + 1] = queue.id
end

local function unpark(s, flow)
  for i = 1, #flow.parked do
    local queue = queue_of(s, byte(flow.parked, i), flow.name)
    queue.pass = math.max(queue.pass, class_of(s, queue.class).time)
    s.act[queue.id] = queue.class * BAND + queue.pass
    s.ready = s.ready + queue.n
  end
  flow.parked = ''
end

-- How many of n jobs the flow's limits let through now. Fills the bucket of its rate.
local function allowed(s, flow, n)
  if flow.paused == 1 then return 0 end
  if flow.cap > 0 then n = math.min(n, flow.cap - flow.leased) end
  if flow.rate > 0 then
    flow.tokens = math.min(flow.burst, flow.tokens + (s.now - flow.at) * flow.rate / 1000)
    flow.at = s.now
    -- A bucket of doubles that holds a whole token must give it.
    n = math.min(n, math.floor(flow.tokens + 1e-6))
  end
  return math.max(n, 0)
end

local function released(s, name, n)
  local flow = flow_of(s, name)
  flow.leased = math.max(0, flow.leased - n)
  if flow.parked ~= '' and flow.paused == 0 and (flow.cap == 0 or flow.leased < flow.cap) and
     (flow.rate == 0 or flow.tokens >= 1) then
    unpark(s, flow)
  end
end

local function before(a, b) return a.pass < b.pass or a.pass == b.pass and a.id < b.id end

-- The next queues of a class in order of pass, as many as `count` more.
local function look(s, window, count)
  local base = window.class * BAND
  local list = redis.call('ZRANGEBYSCORE', s.keys[ACT], int(base), '(' .. int(base + BAND),
    'LIMIT', window.seen, count)
  local fields = {}
  for _, id in ipairs(list) do
    fields[#fields + 1] = 'g' .. id
    fields[#fields + 1] = 'f' .. sub(id, find(id, '|', 1, true) + 1)
  end
  load(s, fields)
  for _, id in ipairs(list) do
    local queue = queue_of(s, window.class, sub(id, find(id, '|', 1, true) + 1))
    if not window.known[id] then
      window.known[id] = true
      window.queues[#window.queues + 1] = queue
      window.edge = {pass = queue.pass, id = id}
    end
  end
  window.seen = window.seen + #list
  window.all = #list < count
end

-- Takes an idle queue out of the order and out of memory: its pass is behind the class's time.
local function retire(s, queue)
  local class = class_of(s, queue.class)
  class.time = math.max(class.time, queue.pass)
  queue.gone, queue.fresh = true, true
  s.act[queue.id] = nil
  s.unact[#s.unact + 1] = queue.id
end

-- The queue of the class to serve next and how many jobs of it may go. Nil when there is none.
local function front(s, window, count, visits)
  while true do
    local best
    for i, queue in ipairs(window.queues) do
      if not best or before(queue, window.queues[best]) then best = i end
    end
    if not window.all and (not best or not window.edge or before(window.edge, window.queues[best])) then
      look(s, window, count)
    elseif not best then
      return nil
    else
      local queue = window.queues[best]
      local flow = flow_of(s, queue.flow)
      if queue.n > 0 then
        local n = allowed(s, flow, QUANTUM)
        if n > 0 then return queue, n end
        park(s, queue, flow)
        if flow.paused == 0 and flow.rate > 0 and flow.tokens < 1 then
          delay(s, s.now + math.ceil((1 - flow.tokens) * 1000 / flow.rate), '\n' .. queue.flow)
        end
      else
        retire(s, queue)
      end
      table.remove(window.queues, best)
      visits.left = visits.left - 1
      if visits.left <= 0 then return nil end
    end
  end
end

-- Takes up to `want` entries of the classes in fair order. Returns them, and the queues they come
-- from: for each turn a queue and the last of its entries.
local function choose(s, classes, want)
  flush_order(s)
  local windows, got, turns, visits = {}, {}, {}, {left = VISITS}
  local count = math.ceil(want / QUANTUM) + 1
  for i, class in ipairs(classes) do
    windows[i] = {class = class, queues = {}, known = {}, seen = 0, all = false}
  end
  while #got < want do
    local best, most, urgency
    local able = 0
    for _, window in ipairs(windows) do
      local queue, n = front(s, window, count, visits)
      if queue then
        able = able + 1
        local waits = s.now - queue.served + 1000 * queue.parts[1].priority
        if not best or waits > urgency then best, most, urgency = queue, n, waits end
      end
    end
    if not best then break end
    local flow, class = flow_of(s, best.flow), class_of(s, best.class)
    -- Between several classes the choice is made anew for each job.
    local n = take_entries(s, best, able > 1 and 1 or math.min(most, want - #got), got)
    class.time = best.pass
    best.pass = best.pass + n * math.floor(COST / flow.weight)
    best.served = s.now
    s.act[best.id] = best.class * BAND + best.pass
    flow.leased, flow.waiting = flow.leased + n, flow.waiting - n
    if flow.rate > 0 then flow.tokens = flow.tokens - n end
    class.ready, class.leased = class.ready - n, class.leased + n
    turns[#turns + 1] = {queue = best, upto = #got}
  end
  return got, turns
end
