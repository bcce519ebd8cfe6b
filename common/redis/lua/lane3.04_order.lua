-- Part 4 of lane3: flows, and whose turn it is.
-- ---- Flows ---------------------------------------------------------------------------------------
-- Takes a flow's queue out of the order until unpark; a limit was reached or it is paused.
local function park(s, queue, flow)
  flow.parked = flow.parked .. char(queue.class)
  s.act[queue.id] = nil
  note(s, 'unact', queue.id)
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

local choose
do
local function before(a, b) return a.pass < b.pass or a.pass == b.pass and a.id < b.id end

-- The next queues of a class in order of pass, as many as `count` more.
local function look(s, window, count)
  local fields = {}
  local list = redis.call('ZRANGEBYSCORE', s.keys[ACT], from_of(window.class), behind_of(window.class),
    'LIMIT', window.seen, count)
  local prefix = #prefix_of(window.class) + 1
  for i = 1, #list do
    fields[2 * i - 1], fields[2 * i] = 'g' .. list[i], 'f' .. sub(list[i], prefix)
  end
  load(s, fields)
  local parts = {}
  for i = 1, #list do
    local id = list[i]
    local queue = queue_of(s, window.class, sub(id, prefix))
    if not window.known[id] then
      window.known[id] = true
      window.queues[#window.queues + 1] = queue
      window.edge = {pass = queue.pass, id = id}
      -- All but the last will be served, as a rule: their first parts are read together.
      local chain = queue.chains[1]
      if i < count and chain and chain.dated == 0 and chain.first ~= chain.next then
        parts[#parts + 1], parts[#parts + 2] = 'p' .. chain.first, 'q' .. chain.first
      end
    end
  end
  load(s, parts)
  window.seen = window.seen + #list
  window.all = #list < count
end

-- Takes an idle queue out of the order and out of memory: its pass is behind the class's time. What
-- cancelled jobs have left of its chains goes with it.
local function retire(s, queue)
  local class = class_of(s, queue.class)
  class.time = math.max(class.time, queue.pass)
  for i = 1, #queue.chains do take_plain(s, queue.chains[i], 1, {}) end
  queue.chains, queue.gone, queue.fresh = {}, true, true
  s.act[queue.id] = nil
  note(s, 'unact', queue.id)
end

-- The queue of the class to serve next and how many jobs of it may go. Nil when there is none.
local function front(s, window, count, visits)
  while true do
    local best
    for i = 1, #window.queues do
      if not best or before(window.queues[i], window.queues[best]) then best = i end
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
          delay(s, s.now + math.ceil((1 - flow.tokens) * 1000 / flow.rate), 'f' .. queue.flow)
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

-- How long a queue has waited, in ms, with its priority.
local function urgency_of(s, queue)
  for i = 1, #queue.chains do
    local chain = queue.chains[i]
    if chain.n + chain.dated > 0 then return s.now - queue.served + 1000 * chain.priority end
  end
end

-- Takes up to `want` jobs of the classes in fair order. Returns the pieces, each with its queue, and
-- how many jobs they are.
function choose(s, classes, want)
  flush_order(s)
  local windows, pieces, taken, visits = {}, {}, 0, {left = VISITS}
  local count = math.ceil(want / QUANTUM) + 1
  for i = 1, #classes do
    windows[i] = {class = classes[i], queues = {}, known = {}, seen = 0, all = false, edge = false}
  end
  while taken < want do
    local best, most, urgency
    local able = 0
    for i = 1, #windows do
      local queue, n = front(s, windows[i], count, visits)
      if queue then
        able = able + 1
        local waits = #windows > 1 and urgency_of(s, queue) or 0
        if not best or waits > urgency then best, most, urgency = queue, n, waits end
      end
    end
    if not best then break end
    local flow, class = flow_of(s, best.flow), class_of(s, best.class)
    -- Between several classes the choice is made anew for each job.
    local from = #pieces + 1
    local n = take_entries(s, best, able > 1 and 1 or math.min(most, want - taken), pieces)
    for i = from, #pieces do pieces[i].queue = best end
    class.time = best.pass
    best.pass = best.pass + n * math.floor(COST / flow.weight)
    best.served = s.now
    s.act[best.id] = best.class * BAND + best.pass
    flow.leased, flow.waiting = flow.leased + n, flow.waiting - n
    if flow.rate > 0 then flow.tokens = flow.tokens - n end
    class.ready, class.leased = class.ready - n, class.leased + n
    taken = taken + n
  end
  return pieces, taken
end

end
