package props

// regions are the regions of Function Compute 2.0, and those that Alibaba Cloud
// has opened since, which are left to the API.
func regions() []string {
	return []string{
		"cn-beijing", "cn-hangzhou", "cn-shanghai", "cn-qingdao", "cn-zhangjiakou", "cn-huhehaote",
		"cn-shenzhen", "cn-chengdu", "cn-hongkong", "ap-southeast-1", "ap-southeast-2", "ap-southeast-3",
		"ap-southeast-5", "ap-northeast-1", "eu-central-1", "eu-west-1", "us-west-1", "us-east-1", "ap-south-1",
		"ap-southeast-6", "ap-southeast-7", "ap-northeast-2", "me-east-1", "me-central-1", "na-south-1",
		"cn-wulanchabu", "cn-heyuan", "cn-guangzhou", "cn-nanjing", "cn-fuzhou", "cn-wuhan-lr", "cn-zhengzhou-jva",
		"cn-hangzhou-finance", "cn-shanghai-finance-1", "cn-shenzhen-finance-1", "cn-beijing-finance-1", "cn-north-2-gov-1",
	}
}

// runtimes are the runtimes of Function Compute 2.0.
func runtimes() []string {
	return []string{
		"nodejs20", "nodejs18", "nodejs16", "nodejs14", "nodejs12", "nodejs10", "nodejs8", "nodejs6", "nodejs4.4",
		"python3.12", "python3.10", "python3.9", "python3", "python2.7", "java11", "java8", "go1", "php7.2",
		"dotnetcore3.1", "dotnetcore2.1", "custom", "custom.debian10", "custom.debian11", "custom.debian12", "custom-container",
	}
}

// instanceTypes are the kinds of instances; g1 is the older name of fc.gpu.tesla.1.
func instanceTypes() []string {
	return []string{"e1", "c1", "g1", "fc.gpu.tesla.1", "fc.gpu.ampere.1", "fc.gpu.ada.1"}
}
