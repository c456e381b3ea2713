package main

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
)

// portrait is one state of an application: for each of its resources a number that
// stands for how it looks, 0 for a resource that is not there. That of a function is
// ten times its memory, in units of 128 MB, plus the number of its code.
type portrait map[string]int

// functions is the most functions that a portrait has. The first is always there, with
// the trigger web.
const functions = 3

// foreign is the number of code that is of no file.
const foreign = 9

// keys lists the resources of portraits, each behind those that it is part of.
func keys() []string {
	list := []string{"service", "binding", "web"}
	for i := range functions {
		list = append(list, fmt.Sprint("function", i), fmt.Sprint("timer", i), fmt.Sprint("async", i))
	}
	slices.SortStableFunc(list, func(x, y string) int { return rankOf(x) - rankOf(y) })
	return append(list, "domain")
}

func rankOf(key string) int {
	switch {
	case key == "service":
		return 0
	case strings.HasPrefix(key, "function"):
		return 1
	}
	return 2
}

// parent returns the function that a resource is part of, "" for none.
func parent(key string) string {
	for _, kind := range []string{"timer", "async"} {
		if n, ok := strings.CutPrefix(key, kind); ok {
			return "function" + n
		}
	}
	return ""
}

// must exist in every portrait, so that the others have something to be part of.
func required(key string) bool { return key == "service" || key == "function0" || key == "web" }

// look draws how a resource looks, but for 0.
func look(random *rand.Rand, key string) int {
	if strings.HasPrefix(key, "function") {
		return 10*(1+random.IntN(3)) + 1 + random.IntN(3)
	}
	return 1 + random.IntN(3)
}

// draw draws a portrait.
func draw(random *rand.Rand) portrait {
	p := portrait{}
	for _, key := range keys() {
		if required(key) || random.IntN(3) > 0 {
			p[key] = look(random, key)
		}
	}
	return p.whole()
}

// retouch returns a portrait in which some resources look different. The console can
// also delete what a file must have.
func (p portrait) retouch(random *rand.Rand, console bool) portrait {
	q := maps.Clone(p)
	odds := []int{4, 12, 1000}[random.IntN(3)] // often all stays as it is
	for _, key := range keys() {
		switch random.IntN(odds) {
		case 0:
			q[key] = look(random, key)
		case 1:
			if !required(key) {
				q[key] = 0
			}
		}
		if console && strings.HasPrefix(key, "function") && q[key] != p[key] && q[key] != 0 {
			q[key] = q[key]/10*10 + foreign
			if p[key] != 0 && random.IntN(2) == 0 {
				q[key] = q[key]/10*10 + p[key]%10
			}
		}
	}
	if console && random.IntN(odds) == 0 {
		q["web"] = 0
	}
	return q.whole()
}

// whole takes out what is part of something that is not there.
func (p portrait) whole() portrait {
	for _, key := range keys() {
		if up := parent(key); up != "" && p[up] == 0 {
			p[key] = 0
		}
	}
	maps.DeleteFunc(p, func(_ string, v int) bool { return v == 0 })
	return p
}

// files are an application that looks so.
func (p portrait) files() map[string]string {
	files := map[string]string{}
	var b strings.Builder
	b.WriteString("edition: 1.0.0\nname: model\nservices:\n")
	for i := range functions {
		n := strconv.Itoa(i)
		f := p["function"+n]
		if f == 0 {
			continue
		}
		fmt.Fprintf(&b, "  job%s:\n    component: fc\n    props:\n      region: cn-hangzhou\n", n)
		if i > 0 {
			b.WriteString("      service: {name: model}\n")
		} else {
			fmt.Fprintf(&b, "      service: {name: model, description: v%d, internetAccess: true, role: 'acs:ram::1:role/model'%s}\n", p["service"], optional(p["binding"], ", vpcBinding: [vpc-%d]"))
		}
		fmt.Fprintf(&b, "      function: {name: f%s, runtime: python3.9, handler: index.handler, memorySize: %d, codeUri: ./code%s%s}\n",
			n, f/10*128, n, optional(p["async"+n], ", asyncConfiguration: {maxAsyncRetryAttempts: %d}"))
		files["code"+n+"/index.py"] = fmt.Sprintf("def handler(event, context):\n    return %d\n", f%10)
		if i == 0 || p["timer"+n] > 0 {
			b.WriteString("      triggers:\n")
		}
		if i == 0 {
			fmt.Fprintf(&b, "        - {name: web, type: http, config: {authType: anonymous, methods: [%s]}}\n", method(p["web"]))
		}
		b.WriteString(optional(p["timer"+n], "        - {name: timer, type: timer, config: {cronExpression: '0 0 8 * * *', enable: true, payload: v%d}}\n"))
		if i == 0 {
			b.WriteString(optional(p["domain"], "      customDomains:\n        - {domainName: model.example.com, protocol: HTTP, routeConfigs: [{path: /v%d}]}\n"))
		}
	}
	files["s.yaml"] = b.String()
	return files
}

func optional(v int, format string) string {
	if v == 0 {
		return ""
	}
	return fmt.Sprintf(format, v)
}

func method(v int) string { return []string{"", "GET", "POST", "PUT"}[v] }

// call is a call of the API that makes, changes or deletes a resource.
type call struct {
	method, path string
	body         map[string]any
}

// edit returns the call that makes a resource look so in the console.
func edit(key string, before, after int) call {
	const service = "/services/model"
	n := key[len(key)-1:]
	function := service + "/functions/f" + n
	one := func(list, name string, body map[string]any) call {
		switch {
		case after == 0:
			return call{"DELETE", list + "/" + name, nil}
		case before == 0:
			return call{"POST", list, body}
		}
		return call{"PUT", list + "/" + name, body}
	}
	switch {
	case key == "service":
		return call{"PUT", service, map[string]any{"description": fmt.Sprint("v", after)}}
	case key == "web":
		return one(service+"/functions/f0/triggers", "web", map[string]any{"triggerName": "web", "triggerType": "http", "invocationRole": "",
			"triggerConfig": text(map[string]any{"authType": "anonymous", "methods": []string{method(after)}})})
	case key == "domain":
		return one("/custom-domains", "model.example.com", map[string]any{"domainName": "model.example.com", "protocol": "HTTP",
			"routeConfig": map[string]any{"routes": []any{map[string]any{"path": fmt.Sprint("/v", after), "serviceName": "model", "functionName": "f0"}}}})
	case strings.HasPrefix(key, "timer"):
		return one(function+"/triggers", "timer", map[string]any{"triggerName": "timer", "triggerType": "timer",
			"triggerConfig": text(map[string]any{"cronExpression": "0 0 8 * * *", "enable": true, "payload": fmt.Sprint("v", after)})})
	case strings.HasPrefix(key, "async") && after == 0:
		return call{"DELETE", function + "/async-invoke-config", nil}
	case strings.HasPrefix(key, "async"):
		return call{"PUT", function + "/async-invoke-config", map[string]any{"maxAsyncRetryAttempts": after}}
	}
	body := map[string]any{"functionName": "f" + n, "runtime": "python3.9", "handler": "index.handler", "memorySize": after / 10 * 128}
	if after%10 == foreign && before%10 != foreign {
		body["code"] = map[string]any{"zipFile": foreignCode()}
	}
	return one(service+"/functions", "f"+n, body)
}

// text is JSON as a text.
func text(v any) string {
	data, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(data)
}

// foreignCode is a code package that no file has.
func foreignCode() []byte {
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	f, err := w.Create("index.py")
	if err == nil {
		_, err = f.Write([]byte("def handler(event, context):\n    return 'foreign'\n"))
	}
	if err := errors.Join(err, w.Close()); err != nil {
		panic(err)
	}
	return b.Bytes()
}

// reshape makes the cloud look so in the console, which looked like before.
func (a *arena) reshape(before, after portrait) error {
	list := keys()
	for _, key := range slices.Backward(list) {
		if before[key] != 0 && after[key] == 0 {
			if err := a.edit(key, before[key], 0); err != nil {
				return err
			}
		}
	}
	for _, key := range list {
		if after[key] != 0 && after[key] != before[key] {
			if err := a.edit(key, before[key], after[key]); err != nil {
				return err
			}
		}
	}
	return nil
}

func (a *arena) edit(key string, before, after int) error {
	if key == "binding" {
		const bindings = "/services/model/bindings"
		if before != 0 {
			if _, err := a.api("DELETE", fmt.Sprintf("%s/vpc-%d", bindings, before), nil); err != nil {
				return err
			}
		}
		if after == 0 {
			return nil
		}
		_, err := a.api("POST", bindings, map[string]any{"vpcId": fmt.Sprint("vpc-", after)})
		return err
	}
	c := edit(key, before, after)
	_, err := a.api(c.method, c.path, c.body)
	return err
}
